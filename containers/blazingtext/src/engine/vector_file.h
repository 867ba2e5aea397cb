// Word vectors in word2vec's text and binary formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "files.h"

namespace blazingtext {

// A mapped file of word vectors; its numbers are read only when they are copied. It is one of
//   text:    "V D", then a line "word x1 ... xD" for each word; the first line may be missing, as in GloVe's files;
//   binary:  "V D", then for each word the word, a space and D little-endian floats, perhaps after a newline.
class VectorFile {
public:
    // Finds the words. Throws FileError; std::invalid_argument for a file that is neither, with the line or word.
    VectorFile(std::string path, int threads);

    std::size_t dim() const { return dim_; }
    std::size_t size() const { return entries_.size(); }
    std::string_view word(std::size_t index) const { return entries_[index].word; }

    // Words left out because no corpus can hold them: with a separator inside, or not UTF-8, as word2vec.c leaves them
    // where it cuts a long word in the middle of a character.
    std::size_t skipped() const { return skipped_; }

    // Row rows[i] of the matrix becomes the vector of word i, or nothing does where rows[i] < 0. Element (r, d) of the
    // matrix is at [r * row_stride + d]. Throws std::invalid_argument for what is not D finite numbers.
    void copy(const std::int64_t* rows, float* matrix, std::int64_t row_stride) const;

private:
    struct Entry {
        std::string_view word;
        const char* numbers;
    };

    bool read_header();
    bool looks_like_text() const;
    void find_lines();
    void find_records();
    void keep_tokens(std::vector<Entry>& found);
    void parse(const Entry& entry, float* to) const;
    [[noreturn]] void refuse(const char* at, const std::string& reason) const;

    MappedFile file_;
    int threads_;
    bool binary_ = false;
    std::size_t dim_ = 0;
    std::size_t stated_ = 0;  // words, in the first line
    const char* begin_;       // of the first word
    const char* end_;
    std::vector<Entry> entries_;
    std::size_t skipped_ = 0;
};

}  // namespace blazingtext
