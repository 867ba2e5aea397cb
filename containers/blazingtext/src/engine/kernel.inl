// The kernels, written once for vectors of KERNEL_WIDTH floats; each instruction set compiles this file with its own
// flags. Everything here has internal linkage and no header with inline functions is used: the linker must never
// take a function that was compiled for AVX-512 to serve the rest of the program.
#include <cstddef>
#include <cstdint>

#include "kernel.h"

namespace blazingtext {
namespace {

constexpr std::size_t kWidth = KERNEL_WIDTH;
// Targets that are worked on together: six target rows, six sums, an input row and its new value fit 16 registers.
constexpr int kTargetBlock = 6;

// may_alias: rows are arrays of float to the rest of the program.
typedef float Vector __attribute__((vector_size(kWidth * sizeof(float)), may_alias));
typedef std::int32_t Integers __attribute__((vector_size(kWidth * sizeof(std::int32_t)), may_alias));
typedef float Four __attribute__((vector_size(4 * sizeof(float)), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }
inline Vector every(float value) { return value - Vector{}; }

inline Four four_sums(Four v) { return v; }

#if KERNEL_WIDTH == 8
inline Four four_sums(Vector v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7); }
#elif KERNEL_WIDTH == 16
typedef float Eight __attribute__((vector_size(8 * sizeof(float)), may_alias));
inline Four four_sums(Vector v) {
    const Eight half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
}
#endif

// The sums of four vectors' elements, by a transposing tree: a third of the shuffles of four separate reductions.
inline Four sums_of(Four a, Four b, Four c, Four d) {
    const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

// products[i * ld + t] = inputs[i] . targets[t]
template <int Inputs, int Targets>
inline void dot_products(float* const* inputs, float* const* targets, std::size_t stride, float* products,
                         std::size_t ld) {
    const float* x[Inputs];
    const float* y[Targets];
    for (int i = 0; i < Inputs; ++i) x[i] = inputs[i];
    for (int t = 0; t < Targets; ++t) y[t] = targets[t];

    Vector sum[Inputs][Targets] = {};
    for (std::size_t d = 0; d < stride; d += kWidth) {
        Vector xs[Inputs];
#pragma GCC unroll 8
        for (int i = 0; i < Inputs; ++i) xs[i] = load(x[i] + d);
#pragma GCC unroll 8
        for (int t = 0; t < Targets; ++t) {
            const Vector ys = load(y[t] + d);
#pragma GCC unroll 8
            for (int i = 0; i < Inputs; ++i) sum[i][t] += xs[i] * ys;
        }
    }

    constexpr int kCount = Inputs * Targets;
    Four fours[(kCount + 3) / 4 * 4] = {};
#pragma GCC unroll 16
    for (int k = 0; k < kCount; ++k) fours[k] = four_sums(sum[k / Targets][k % Targets]);
#pragma GCC unroll 16
    for (int k = 0; k < kCount; k += 4) {
        const Four totals = sums_of(fours[k], fours[k + 1], fours[k + 2], fours[k + 3]);
        for (int j = k; j < k + 4 && j < kCount; ++j) products[j / Targets * ld + j % Targets] = totals[j - k];
    }
}

template <int Targets>
void dot_products_of_block(float* const* inputs, std::size_t count, float* const* targets, std::size_t stride,
                           float* products, std::size_t ld) {
    std::size_t i = 0;
    // Two inputs per pass: each target row is loaded once for both.
    for (; i + 2 <= count; i += 2) dot_products<2, Targets>(inputs + i, targets, stride, products + i * ld, ld);
    if (i < count) dot_products<1, Targets>(inputs + i, targets, stride, products + i * ld, ld);
}

// inputs[i] += sum_t g[i][t] targets[t] and targets[t] += sum_i g[i][t] inputs[i], both with the old values, column of
// vectors by column: a column's targets and their sums stay in registers while the inputs pass by.
// The inputs' old values come from `old` when an earlier block of targets has changed the rows already.
template <int Targets>
void update_block(float* const* inputs, std::size_t count, float* const* targets, const float* gradients,
                  std::size_t ld, std::size_t d, const Vector* old) {
    float* y[Targets];
    Vector ys[Targets];
    Vector sum[Targets];
#pragma GCC unroll 8
    for (int t = 0; t < Targets; ++t) {
        y[t] = targets[t] + d;
        ys[t] = load(y[t]);
        sum[t] = Vector{};
    }
    for (std::size_t i = 0; i < count; ++i) {
        const float* g = gradients + i * ld;
        Vector updated = load(inputs[i] + d);
        const Vector x = old == nullptr ? updated : old[i];
#pragma GCC unroll 8
        for (int t = 0; t < Targets; ++t) {
            const Vector gt = every(g[t]);
            updated += gt * ys[t];
            sum[t] += gt * x;
        }
        store(inputs[i] + d, updated);
    }
    // Loaded again: the same word may have been drawn twice.
#pragma GCC unroll 8
    for (int t = 0; t < Targets; ++t) store(y[t], load(y[t]) + sum[t]);
}

template <int Targets>
void update_only_block(float* const* inputs, std::size_t count, float* const* targets, const float* gradients,
                       std::size_t stride) {
    for (std::size_t d = 0; d < stride; d += kWidth) {
        update_block<Targets>(inputs, count, targets, gradients, Targets, d, nullptr);
    }
}

using DotProducts = void (*)(float* const*, std::size_t, float* const*, std::size_t, float*, std::size_t);
using UpdateBlock = void (*)(float* const*, std::size_t, float* const*, const float*, std::size_t, std::size_t,
                             const Vector*);
using UpdateOnlyBlock = void (*)(float* const*, std::size_t, float* const*, const float*, std::size_t);

constexpr DotProducts kDotProducts[kTargetBlock + 1] = {
    nullptr,
    dot_products_of_block<1>,
    dot_products_of_block<2>,
    dot_products_of_block<3>,
    dot_products_of_block<4>,
    dot_products_of_block<5>,
    dot_products_of_block<6>,
};
constexpr UpdateBlock kUpdateBlock[kTargetBlock + 1] = {
    nullptr, update_block<1>, update_block<2>, update_block<3>, update_block<4>, update_block<5>, update_block<6>,
};
constexpr UpdateOnlyBlock kUpdateOnlyBlock[kTargetBlock + 1] = {
    nullptr,
    update_only_block<1>,
    update_only_block<2>,
    update_only_block<3>,
    update_only_block<4>,
    update_only_block<5>,
    update_only_block<6>,
};

inline std::size_t block_size(std::size_t left) { return left < kTargetBlock ? left : kTargetBlock; }

inline Vector clamp(Vector x, float limit) {
    x = x > limit ? every(limit) : x;
    return x < -limit ? every(-limit) : x;
}

// 1 / (1 + exp(-x)), within 2e-7. exp(z) = 2^n exp(r), n whole, |r| <= ln(2) / 2, exp(r) by its Taylor polynomial.
inline Vector sigmoid(Vector x) {
    const Vector z = -clamp(x, 30.0f);
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
    const Vector shifted = z * 1.44269504f + kRound;
    const Vector n = shifted - kRound;
    const Vector r = (z - n * 0.693359375f) + n * 2.12194440e-4f;
    Vector p = every(1.0f / 720.0f);
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const Integers exponent = (reinterpret_cast<Integers>(shifted) << 23) + reinterpret_cast<Integers>(p);
    return 1.0f / (1.0f + reinterpret_cast<Vector>(exponent));
}

// products -> gradients, in place; false when a product is not finite (or so large that the next step would not be).
inline bool gradients_of(float* products, std::size_t input_count, std::size_t target_count, float learning_rate) {
    const std::size_t count = input_count * target_count;
    for (std::size_t k = count; k % kWidth != 0; ++k) products[k] = 0.0f;
    Integers infinite = {};
    for (std::size_t k = 0; k < count; k += kWidth) {
        const Vector x = load(products + k);
        infinite |= ~((x < 1e30f) & (x > -1e30f));
        store(products + k, -learning_rate * sigmoid(x));
    }
    for (std::size_t i = 0; i < input_count; ++i) products[i * target_count] += learning_rate;
    std::int32_t any = 0;
    for (std::size_t k = 0; k < kWidth; ++k) any |= infinite[k];
    return any == 0;
}

void update_blocks(float* const* inputs, std::size_t input_count, float* const* targets, std::size_t target_count,
                   std::size_t stride, const float* gradients) {
    Vector old[kLargestBatch];
    for (std::size_t d = 0; d < stride; d += kWidth) {
        for (std::size_t i = 0; i < input_count; ++i) old[i] = load(inputs[i] + d);
        for (std::size_t t = 0; t < target_count; t += kTargetBlock) {
            kUpdateBlock[block_size(target_count - t)](inputs, input_count, targets + t, gradients + t, target_count, d,
                                                       old);
        }
    }
}

bool update(float* const* inputs, std::size_t input_count, float* const* targets, std::size_t target_count,
            std::size_t stride, float learning_rate, float* scratch) {
    for (std::size_t t = 0; t < target_count; t += kTargetBlock) {
        kDotProducts[block_size(target_count - t)](inputs, input_count, targets + t, stride, scratch + t, target_count);
    }
    if (!gradients_of(scratch, input_count, target_count, learning_rate)) return false;
    if (target_count <= kTargetBlock) {
        kUpdateOnlyBlock[target_count](inputs, input_count, targets, scratch, stride);
    } else {
        update_blocks(inputs, input_count, targets, target_count, stride, scratch);
    }
    return true;
}

void mean(const float* const* rows, std::size_t count, std::size_t stride, float* mean) {
    const float share = 1.0f / static_cast<float>(count);
    for (std::size_t d = 0; d < stride; d += kWidth) {
        Vector sum = {};
        for (std::size_t i = 0; i < count; ++i) sum += load(rows[i] + d);
        store(mean + d, sum * share);
    }
}

void spread(float* const* rows, std::size_t count, std::size_t stride, const float* before, const float* after) {
    for (std::size_t d = 0; d < stride; d += kWidth) {
        const Vector change = load(after + d) - load(before + d);
        for (std::size_t i = 0; i < count; ++i) store(rows[i] + d, load(rows[i] + d) + change);
    }
}

}  // namespace

const Kernel KERNEL_VARIABLE = {KERNEL_NAME, update, mean, spread};

}  // namespace blazingtext
