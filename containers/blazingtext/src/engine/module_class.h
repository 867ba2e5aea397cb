#pragma once

#include <nanobind/nanobind.h>

namespace blazingtext {

void bind_classes(nanobind::module_& module);

}  // namespace blazingtext
