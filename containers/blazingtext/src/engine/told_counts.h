// What ranks that each read a part of a corpus tell one another about its words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vocabulary.h"

namespace blazingtext {

struct AmountRead {
    std::uint64_t tokens;
    std::uint64_t bytes;
};

// The words of a part of the corpus, each with its count and first place, in the byte order of this machine.
std::string told_counts(const AmountRead& amount, const WordCounter& counter);

// Adds another rank's words to the counter; their texts stay in `told`. Throws std::invalid_argument for other bytes.
AmountRead add_told_counts(std::string_view told, WordCounter& counter);

}  // namespace blazingtext
