// Text files as an array of word ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vocabulary.h"

namespace blazingtext {

// The files are read once: epochs run over `tokens`. Every token of the files has its place there, also words that
// are not in the vocabulary, so that a position in it is the number of tokens read.
class Corpus {
public:
    // A token is a word's id, or kUnknown; the last token of a sentence has this bit set.
    static constexpr std::uint32_t kEndOfSentence = 0x80000000;
    static constexpr std::uint32_t kUnknown = Vocabulary::kUnknown;

    // Throws FileError, and std::invalid_argument for bytes that are not UTF-8.
    Corpus(const std::vector<std::string>& paths, std::int64_t min_count, int threads);

    const Vocabulary& vocabulary() const { return vocabulary_; }
    const std::uint32_t* tokens() const { return tokens_.get(); }
    std::size_t tokens_read() const { return tokens_read_; }
    std::size_t bytes_read() const { return bytes_read_; }

private:
    Vocabulary vocabulary_;
    std::unique_ptr<std::uint32_t[]> tokens_;
    std::size_t tokens_read_ = 0;
    std::size_t bytes_read_ = 0;
};

}  // namespace blazingtext
