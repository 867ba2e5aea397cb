#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blazingtext {

// Writes word2vec's text format: "words dim", then a line per word, each number as short as still reads back the same.
// vectors: element (i, j) at [i * row_stride + j * column_stride]. The file appears under its name when it is
// complete. Throws FileError.
void write_text_vectors(const std::string& path, const std::vector<std::string_view>& words, const float* vectors,
                        std::size_t dim, std::int64_t row_stride, std::int64_t column_stride);

}  // namespace blazingtext
