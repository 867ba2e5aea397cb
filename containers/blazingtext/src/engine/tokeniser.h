// Finding words in text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "files.h"
#include "vocabulary.h"

namespace blazingtext {

// As fastText separates tokens.
constexpr std::array<bool, 256> kSeparators = [] {
    std::array<bool, 256> separators = {};
    for (const char character : {' ', '\t', '\n', '\r', '\v', '\f', '\0'}) {
        separators[static_cast<unsigned char>(character)] = true;
    }
    return separators;
}();

inline bool is_separator(char byte) { return kSeparators[static_cast<unsigned char>(byte)]; }

// A stretch of a file that begins and ends at words' borders. The first byte of the file has the place `base`.
struct Stretch {
    const MappedFile* file;
    std::size_t begin;
    std::size_t end;
    std::uint64_t base;

    // The most words that can be in it: each takes a byte, and a separator.
    std::size_t most_words() const { return (end - begin + 1) / 2; }
};

struct Tokenised {
    std::size_t tokens;
    bool leading_newline;  // the sentence of what comes before ends there
};

// Counts the stretch's words, whose places ascend from call to call, and writes their numbers in the counter to
// `tokens`, each with Tokens::kEndOfSentence where a newline follows.
Tokenised tokenise(const Stretch& stretch, WordCounter& counter, std::uint32_t* tokens);

}  // namespace blazingtext
