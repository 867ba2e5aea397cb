// The character n-grams of words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernel.h"
#include "vocabulary.h"

namespace blazingtext {

constexpr std::string_view kEndToken = "</s>";

// fastText's 32-bit FNV-1a: characters are signed there, so that bytes above 127 are extended with ones.
inline std::uint32_t fnv1a_step(std::uint32_t hash, char byte) {
    return (hash ^ static_cast<std::uint32_t>(static_cast<signed char>(byte))) * kFnvPrime;
}
std::uint32_t fnv1a(std::string_view text);

inline bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Calls take(hash) for each n-gram of a word that is `marked` "<word>", with min_char to max_char UTF-8 characters, in
// fastText's order. A lone "<" or ">" is not an n-gram.
template <typename Take>
void each_ngram(std::string_view marked, int min_char, int max_char, Take take) {
    for (std::size_t begin = 0; begin < marked.size(); ++begin) {
        if (continues_character(marked[begin])) continue;
        std::uint32_t hash = kFnvBasis;
        std::size_t end = begin;
        for (int length = 1; length <= max_char && end < marked.size(); ++length) {
            do {
                hash = fnv1a_step(hash, marked[end++]);
            } while (end < marked.size() && continues_character(marked[end]));
            const bool lone_mark = length == 1 && (begin == 0 || end == marked.size());
            if (length >= min_char && !lone_mark) take(hash);
        }
    }
}

// The buckets of a word's n-grams; "</s>" has none.
std::vector<std::uint32_t> subword_buckets(std::string_view word, int min_char, int max_char, std::uint32_t buckets);

// The rows of the input matrix that make up each word: its own, and those of its n-grams behind the vocabulary's. Only
// buckets that some word uses have rows, in the order of their first use: a tenth of the memory of all two million
// buckets, and what frequent words use lies together.
class Subwords {
public:
    // Without n-grams: each word has its own row alone.
    Subwords() = default;
    Subwords(const Vocabulary& vocabulary, int min_char, int max_char, std::uint32_t buckets);

    bool empty() const { return starts_.empty(); }
    const std::uint32_t* begin(std::uint32_t word) const { return rows_.data() + starts_[word]; }
    const std::uint32_t* end(std::uint32_t word) const { return rows_.data() + starts_[word + 1]; }

    // The buckets that have rows, in the order of the rows.
    const std::vector<std::uint32_t>& buckets() const { return buckets_; }

    // All words' rows, one word's after the other's, and where each word's begin, with one start more for the end.
    const std::vector<std::uint32_t>& rows() const { return rows_; }
    const std::vector<std::size_t>& starts() const { return starts_; }

private:
    std::vector<std::uint32_t> rows_;
    std::vector<std::size_t> starts_;
    std::vector<std::uint32_t> buckets_;
};

}  // namespace blazingtext
