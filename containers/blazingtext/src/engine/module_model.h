#pragma once

#include <nanobind/nanobind.h>

namespace blazingtext {

// The classes that read and use model files.
void bind_model(nanobind::module_& module);

}  // namespace blazingtext
