#pragma once

#include <nanobind/nanobind.h>

namespace blazingtext {

void bind_trainers(nanobind::module_& module);

}  // namespace blazingtext
