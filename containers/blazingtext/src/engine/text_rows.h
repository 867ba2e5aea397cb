// The rows of a model's input matrix that make up words and texts, found as fastText finds them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model_file.h"
#include "text_tokens.h"

namespace blazingtext {

// Remainders by a number that stays the same: two multiplications in place of a division.
class Divisor {
public:
    explicit Divisor(std::uint32_t number) : number_(number), inverse_(number == 0 ? 0 : UINT64_MAX / number) {}

    std::uint32_t remainder(std::uint64_t dividend) const {
        // Too small by two at most: inverse > 2^64 / number - 1. Whether it is depends on chance, so nothing branches.
        const auto quotient = static_cast<std::uint64_t>(static_cast<Wide>(dividend) * inverse_ >> 64);
        std::uint64_t rest = dividend - quotient * number_;
        for (int i = 0; i < 2; ++i) rest = rest < number_ ? rest : rest - number_;
        return static_cast<std::uint32_t>(rest);
    }

private:
    __extension__ typedef unsigned __int128 Wide;

    std::uint64_t number_;
    std::uint64_t inverse_;
};

// Finds rows for one thread: it has memory that it uses again.
class RowFinder {
public:
    explicit RowFinder(const ModelFile& model);

    // Adds the row of a word that is known, and those of its character n-grams that the model has.
    void add_word(std::string_view word, std::vector<std::uint32_t>& rows);

    // Adds what a classifier sees of a text: its words, their character n-grams, the n-grams of words. Labels in the
    // text are passed over; "</s>" ends it, and stands at the end of every text. All separators are alike, also newlines.
    void add_text(std::string_view text, std::vector<std::uint32_t>& rows);

private:
    void find_entries();
    void add_ngrams(std::string_view word, std::vector<std::uint32_t>& rows);
    void add_word_ngrams(std::vector<std::uint32_t>& rows) const;
    std::uint32_t bucket_row(std::uint64_t hash) const;
    void fetch_row(std::uint32_t row) const;

    const ModelFile& model_;
    const Dictionary& dictionary_;
    Divisor buckets_;
    std::size_t longest_;  // n-gram of words
    const char* input_;
    std::size_t row_bytes_;
    std::string marked_;
    TextTokens tokens_;
    std::vector<std::uint32_t> entries_;  // of the tokens
    std::vector<std::uint32_t> hashes_;   // of the words among them, known or not
};

}  // namespace blazingtext
