#pragma once

#include <cstddef>

namespace blazingtext {

// The offset of the first byte that does not belong to a UTF-8 character (RFC 3629), or `size` when all do.
std::size_t first_not_utf8(const char* text, std::size_t size);

}  // namespace blazingtext
