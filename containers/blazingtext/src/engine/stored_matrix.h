// A matrix of a model file, used where it lies in the mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel.h"

namespace blazingtext {

// The centroids of product quantisation (Jegou, Douze and Schmid 2011): 256 for each block of a row's dimensions, block
// after block. The last block has what is left of the dimensions.
struct StoredQuantiser {
    static constexpr std::size_t kCentroids = 256;

    const char* centroids;  // floats, at any address
    std::size_t dim;
    std::size_t block;
    std::size_t blocks;
};

// Rows of floats; or, quantised, of a code for each block of their direction and one for their length.
class StoredMatrix {
public:
    StoredMatrix() = default;
    StoredMatrix(const char* numbers, std::size_t rows, std::size_t dim) : data_(numbers), rows_(rows), dim_(dim) {}
    // Without length_codes rows were quantised as they are.
    StoredMatrix(const char* codes, std::size_t rows, const StoredQuantiser& directions, const char* length_codes,
                 const char* lengths)
        : data_(codes), rows_(rows), dim_(directions.dim), directions_(directions), length_codes_(length_codes),
          lengths_(lengths) {}

    std::size_t rows() const { return rows_; }
    std::size_t dim() const { return dim_; }
    bool quantised() const { return directions_.has_value(); }
    const char* data() const { return data_; }

    // The same matrix, not quantised, with its numbers elsewhere.
    StoredMatrix at(const char* numbers) const { return StoredMatrix(numbers, rows_, dim_); }

    std::size_t row_bytes() const { return quantised() ? directions_->blocks : dim_ * sizeof(float); }

    // Copies or decodes a row.
    void copy(std::size_t row, float* to) const;

    // mean = sum of some rows / count, count > 0
    void mean(const Kernel& kernel, const std::uint32_t* rows, std::size_t count, float* mean) const;

    // products[i] = row first + i . x
    void products(const Kernel& kernel, std::size_t first, std::size_t count, const float* x, float* products) const;

private:
    template <typename Take>
    void decode(std::size_t row, Take take) const;
    float length_of(std::size_t row) const;

    const char* data_ = nullptr;  // floats at any address, or codes
    std::size_t rows_ = 0;
    std::size_t dim_ = 0;
    std::optional<StoredQuantiser> directions_;
    const char* length_codes_ = nullptr;
    const char* lengths_ = nullptr;  // centroids
};

}  // namespace blazingtext
