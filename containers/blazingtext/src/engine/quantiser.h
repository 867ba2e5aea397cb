// Product quantisation of vectors (Jegou, Douze and Schmid 2011, "Product quantisation for nearest neighbor search").
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace blazingtext {

// Rows of a matrix: element (i, j) at [i * row_stride + j * column_stride].
struct RowsView {
    const float* data;
    std::size_t rows;
    std::size_t dim;
    std::int64_t row_stride;
    std::int64_t column_stride;

    float at(std::size_t row, std::size_t column) const {
        return data[static_cast<std::int64_t>(row) * row_stride + static_cast<std::int64_t>(column) * column_stride];
    }
};

// A row as a length and a direction. The direction is cut into blocks of dimensions, and of each block only the number
// of the nearest of 256 centroids is kept, which k-means finds for that block; so is the length, as a block of its own.
struct Quantised {
    static constexpr std::size_t kCentroids = 256;

    std::vector<float> centroids;           // block by block: 256 centroids of the block's dimensions
    std::vector<std::uint8_t> codes;        // rows x blocks
    std::vector<float> length_centroids;    // 256
    std::vector<std::uint8_t> length_codes;  // rows
};

// block: dimensions that share one code; the last block has what is left. The result depends on the seed, not on how
// many threads there are.
Quantised quantise(const RowsView& rows, std::size_t block, std::uint64_t seed, int threads);

}  // namespace blazingtext
