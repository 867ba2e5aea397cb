#pragma once

#include <nanobind/nanobind.h>

namespace blazingtext {

void bind_answers(nanobind::module_& module);

}  // namespace blazingtext
