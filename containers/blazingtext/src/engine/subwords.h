// The character n-grams of words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "vocabulary.h"

namespace blazingtext {

// fastText's 32-bit FNV-1a: characters are signed there, so that bytes above 127 are extended with ones.
std::uint32_t fnv1a(std::string_view text);

// The buckets of the n-grams of "<word>" with min_char to max_char UTF-8 characters, in fastText's order.
// A lone "<" or ">" is not an n-gram, and "</s>" has none.
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
