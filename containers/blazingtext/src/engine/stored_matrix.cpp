#include "stored_matrix.h"

#include <algorithm>
#include <cstring>

namespace blazingtext {
namespace {

float float_at(const char* numbers, std::size_t index) {
    float number;
    std::memcpy(&number, numbers + index * sizeof number, sizeof number);
    return number;
}

std::size_t code_at(const char* codes, std::size_t index) { return static_cast<unsigned char>(codes[index]); }

}  // namespace

float StoredMatrix::length_of(std::size_t row) const {
    return length_codes_ == nullptr ? 1.0f : float_at(lengths_, code_at(length_codes_, row));
}

// Calls take(d, number) for each number of the row's direction.
template <typename Take>
void StoredMatrix::decode(std::size_t row, Take take) const {
    const StoredQuantiser& quantiser = *directions_;
    const char* const codes = data_ + row * quantiser.blocks;
    for (std::size_t b = 0; b < quantiser.blocks; ++b) {
        const std::size_t begin = b * quantiser.block;
        const std::size_t size = std::min(quantiser.block, dim_ - begin);
        const std::size_t centroid = begin * StoredQuantiser::kCentroids + code_at(codes, b) * size;
        for (std::size_t d = 0; d < size; ++d) take(begin + d, float_at(quantiser.centroids, centroid + d));
    }
}

void StoredMatrix::copy(std::size_t row, float* to) const {
    if (!quantised()) {
        std::memcpy(to, data_ + row * dim_ * sizeof(float), dim_ * sizeof(float));
        return;
    }
    const float length = length_of(row);
    decode(row, [&](std::size_t d, float number) { to[d] = length * number; });
}

void StoredMatrix::mean(const Kernel& kernel, const std::uint32_t* rows, std::size_t count, float* mean) const {
    if (!quantised()) {
        kernel.mean_of_packed(PackedRows{data_, dim_}, rows, count, mean);
        return;
    }
    std::fill_n(mean, dim_, 0.0f);
    for (std::size_t i = 0; i < count; ++i) {
        const float length = length_of(rows[i]);
        decode(rows[i], [&](std::size_t d, float number) { mean[d] += length * number; });
    }
    const float share = 1.0f / static_cast<float>(count);
    for (std::size_t d = 0; d < dim_; ++d) mean[d] *= share;
}

void StoredMatrix::products(const Kernel& kernel, std::size_t first, std::size_t count, const float* x,
                            float* products) const {
    if (!quantised()) {
        kernel.products_of_packed(PackedRows{data_ + first * dim_ * sizeof(float), dim_}, count, x, products);
        return;
    }
    for (std::size_t i = 0; i < count; ++i) {
        float sum = 0.0f;
        decode(first + i, [&](std::size_t d, float number) { sum += x[d] * number; });
        products[i] = sum * length_of(first + i);
    }
}

}  // namespace blazingtext
