#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace blazingtext {

// What is written: `count` words, and their vectors by rows [begin, end), asked for in any order by several threads.
struct NamedVectors {
    std::size_t count;
    std::size_t dim;
    std::function<std::string_view(std::size_t row)> word;
    std::function<void(std::size_t begin, std::size_t end, float* to)> read;  // (end - begin) x dim floats
};

// Writes word2vec's text format: "words dim", then a line per word, each number as short as still reads back the same.
// The file appears under its name when it is complete. Throws FileError.
void write_text_vectors(const std::string& path, const NamedVectors& vectors, int threads);

}  // namespace blazingtext
