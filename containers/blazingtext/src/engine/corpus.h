// Text files as an array of word ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokens.h"
#include "vocabulary.h"

namespace blazingtext {

// The part of the files that one of several ranks reads, tokenised and its words counted: the first half of making a
// Corpus. All files together are divided by bytes into stretches of equal length, cut at separators, that the ranks take
// in turn.
class CorpusPart {
public:
    // Throws FileError, and std::invalid_argument for bytes that are not UTF-8.
    CorpusPart(const std::vector<std::string>& paths, int threads, int rank = 0, int ranks = 1);
    CorpusPart(const CorpusPart&) = delete;
    CorpusPart& operator=(const CorpusPart&) = delete;
    ~CorpusPart();

    // These throw std::invalid_argument once a Corpus has taken the part.
    std::size_t tokens_read() const;
    std::size_t bytes_read() const;
    // What the other ranks need to know to make the vocabulary of all: see told_counts.h.
    std::string counts() const;

private:
    friend class Corpus;
    struct Text;

    const Text& text() const;

    std::unique_ptr<Text> text_;  // null once a Corpus has taken it
};

// The files are read once: epochs run over `tokens`. Every token of the rank's part has its place there, also words
// that are not in the vocabulary, so that a position in it is the number of tokens read. The vocabulary and its counts
// are those of all ranks' parts together.
class Corpus {
public:
    // All of the files. Throws as CorpusPart does.
    Corpus(const std::vector<std::string>& paths, std::int64_t min_count, int threads);

    // Takes what `part` holds; `others` are the counts of every other rank, in any order; `words` are in the vocabulary
    // however often they occur. Throws std::invalid_argument when the others' are no counts.
    Corpus(CorpusPart&& part, std::int64_t min_count, int threads, const std::vector<std::string_view>& others,
           const std::vector<std::string_view>& words = {});

    const Vocabulary& vocabulary() const { return vocabulary_; }
    const Tokens& tokens() const { return tokens_; }
    std::size_t size() const { return size_; }                // tokens here
    std::size_t tokens_read() const { return tokens_read_; }  // by all ranks
    std::size_t bytes_read() const { return bytes_read_; }    // by all ranks

    // Gives the tokens away, to be changed.
    std::unique_ptr<std::uint32_t[]> take_tokens() { return tokens_.take(); }

private:
    Vocabulary vocabulary_;
    Tokens tokens_;
    std::size_t size_ = 0;
    std::size_t tokens_read_ = 0;
    std::size_t bytes_read_ = 0;
};

}  // namespace blazingtext
