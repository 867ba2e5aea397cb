#include "utf8.h"

#include <cstdint>
#include <cstring>

namespace blazingtext {
namespace {

bool between(unsigned char byte, unsigned char low, unsigned char high) { return byte >= low && byte <= high; }

// The length of the character at `at`, or 0 when there is none. RFC 3629, section 4: the second byte's range rules out
// overlong forms, surrogates and what lies above U+10FFFF.
std::size_t character_length(const unsigned char* at, std::size_t left) {
    const unsigned char lead = at[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    std::size_t length = 0;
    if (lead < 0x80) return 1;
    if (between(lead, 0xC2, 0xDF)) {
        length = 2;
    } else if (between(lead, 0xE0, 0xEF)) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (between(lead, 0xF0, 0xF4)) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    }
    if (length == 0 || length > left || !between(at[1], low, high)) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if (!between(at[i], 0x80, 0xBF)) return 0;
    }
    return length;
}

}  // namespace

std::size_t first_not_utf8(const char* text, std::size_t size) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text);
    std::size_t at = 0;
    while (at < size) {
        // Eight ASCII characters at a time: most text is nothing else.
        std::uint64_t eight = 0;
        if (size - at >= sizeof eight) {
            std::memcpy(&eight, bytes + at, sizeof eight);
            if ((eight & 0x8080808080808080ULL) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        const std::size_t length = character_length(bytes + at, size - at);
        if (length == 0) return at;
        at += length;
    }
    return size;
}

}  // namespace blazingtext
