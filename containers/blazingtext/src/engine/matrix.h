#pragma once

#include <cstddef>

#include "kernel.h"

namespace blazingtext {

// rows x dim floats, all zero at first. Rows begin on cache lines and are padded with zeros to whole ones.
class Matrix {
public:
    // Throws std::bad_alloc.
    Matrix(std::size_t rows, std::size_t dim);
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;
    ~Matrix();

    float* row(std::size_t index) { return data_ + index * stride_; }
    const float* row(std::size_t index) const { return data_ + index * stride_; }
    std::size_t rows() const { return rows_; }
    std::size_t dim() const { return dim_; }
    std::size_t stride() const { return stride_; }

private:
    std::size_t rows_;
    std::size_t dim_;
    std::size_t stride_;
    float* data_;
};

}  // namespace blazingtext
