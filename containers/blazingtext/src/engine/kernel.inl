// The kernels, written once for vectors of KERNEL_WIDTH floats; each instruction set compiles this file with its own
// flags. Everything here has internal linkage and no header with other inline functions is used: the linker must never
// take a function that was compiled for AVX-512 to serve the rest of the program.
#include <cstddef>
#include <cstdint>

#include "kernel.h"
#include "prefetch.h"

namespace blazingtext {
namespace {

constexpr std::size_t kWidth = KERNEL_WIDTH;

// may_alias: rows are arrays of float to the rest of the program.
typedef float Vector __attribute__((vector_size(kWidth * sizeof(float)), may_alias));
typedef std::int32_t Integers __attribute__((vector_size(kWidth * sizeof(std::int32_t)), may_alias));
typedef float Four __attribute__((vector_size(4 * sizeof(float)), may_alias));

// LANES(a, b, c, d) is the pattern a b c d of a vector of four and one beside it, in each 128-bit lane.
// The products of kInputBlock inputs with kTargetBlock targets, and what passes by them, fit the registers.
#if KERNEL_WIDTH == 4
#define LANES(a, b, c, d) a, b, c, d
constexpr int kInputBlock = 2;
#elif KERNEL_WIDTH == 8
#define LANE(n, i) ((n) < 4 ? (n) + 4 * (i) : (n) + 4 + 4 * (i))
#define LANES(a, b, c, d) LANE(a, 0), LANE(b, 0), LANE(c, 0), LANE(d, 0), LANE(a, 1), LANE(b, 1), LANE(c, 1), LANE(d, 1)
constexpr int kInputBlock = 2;
#else
#define LANE(n, i) ((n) < 4 ? (n) + 4 * (i) : (n) + 12 + 4 * (i))
#define LANES(a, b, c, d)                                                                       \
    LANE(a, 0), LANE(b, 0), LANE(c, 0), LANE(d, 0), LANE(a, 1), LANE(b, 1), LANE(c, 1), LANE(d, 1), \
        LANE(a, 2), LANE(b, 2), LANE(c, 2), LANE(d, 2), LANE(a, 3), LANE(b, 3), LANE(c, 3), LANE(d, 3)
constexpr int kInputBlock = 4;
#endif

// Keeps a value in a register: the compiler would load it again for each product, and loads are what products wait for.
#if defined(__x86_64__)
inline void hold(Vector& value) { __asm__("" : "+x"(value)); }
#else
inline void hold(Vector&) {}
#endif

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }
inline Vector every(float value) { return value - Vector{}; }

// The sum of a vector's lanes of four.
inline Four folded(Four v) { return v; }
#if KERNEL_WIDTH >= 8
typedef float Eight __attribute__((vector_size(8 * sizeof(float)), may_alias));
inline Four folded(Eight v) {
    return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
}
#endif
#if KERNEL_WIDTH == 16
inline Four folded(Vector v) {
    return folded(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                  __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
}
#endif

// The sums of four vectors' elements, by a transposing tree: a third of the work of four separate reductions.
inline Four sums_of(Vector a, Vector b, Vector c, Vector d) {
    const auto half = [](Vector u, Vector v) {
        return __builtin_shufflevector(u, v, LANES(0, 4, 1, 5)) + __builtin_shufflevector(u, v, LANES(2, 6, 3, 7));
    };
    const Vector ab = half(a, b);
    const Vector cd = half(c, d);
    return folded(__builtin_shufflevector(ab, cd, LANES(0, 1, 4, 5)) + __builtin_shufflevector(ab, cd, LANES(2, 3, 6, 7)));
}

// products[i * kTargetBlock + t] = inputs[i] . targets[t]
template <int Inputs>
inline void dot_products(const float* const* inputs, const float* const* targets, std::size_t dim, float* products) {
    const float* x[Inputs];
    const float* y[kTargetBlock];
    for (int i = 0; i < Inputs; ++i) x[i] = inputs[i];
    for (int t = 0; t < 4; ++t) y[t] = targets[t];

    Vector sum[Inputs][4] = {};
    for (std::size_t d = 0; d < dim; d += kWidth) {
        Vector xs[Inputs];
#pragma GCC unroll 4
        for (int i = 0; i < Inputs; ++i) xs[i] = load(x[i] + d);
#pragma GCC unroll 4
        for (int t = 0; t < 4; ++t) {
            Vector ys = load(y[t] + d);
            if (Inputs > 1) hold(ys);
#pragma GCC unroll 4
            for (int i = 0; i < Inputs; ++i) sum[i][t] += xs[i] * ys;
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < Inputs; ++i, products += kTargetBlock) {
        *reinterpret_cast<Four*>(products) = sums_of(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
    }
}

// inputs[i] += sum_t g[i][t] targets[t] and targets[t] += sum_i g[i][t] inputs[i], both with the old values, of one
// column of vectors: the targets and their sums stay in registers while the inputs pass by.
// The inputs' old values are in `old`: an earlier block of targets has changed the rows already.
inline void update_block(float* const* inputs, std::size_t count, float* const* targets, const float* gradients,
                         std::size_t d, const Vector* old) {
    Vector y[kTargetBlock];
    Vector sum[kTargetBlock];
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kTargetBlock; ++t) {
        y[t] = load(targets[t] + d);
        sum[t] = Vector{};
    }
    for (std::size_t i = 0; i < count; ++i, gradients += kTargetBlock) {
        const Vector x = old[i];
        Vector change[2] = {load(inputs[i] + d), Vector{}};
#pragma GCC unroll 4
        for (std::size_t t = 0; t < kTargetBlock; ++t) {
            const Vector g = every(gradients[t]);
            change[t % 2] += g * y[t];
            sum[t] += g * x;
        }
        store(inputs[i] + d, change[0] + change[1]);
    }
    // Loaded again: the same word may be two of the targets.
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kTargetBlock; ++t) store(targets[t] + d, load(targets[t] + d) + sum[t]);
}

inline Vector clamp(Vector x, float limit) {
    x = x > limit ? every(limit) : x;
    return x < -limit ? every(-limit) : x;
}

// exp(z) for |z| <= 87, within 2e-7 of itself: 2^n exp(r), n whole, |r| <= ln(2) / 2, exp(r) by its Taylor polynomial.
inline Vector exp_of(Vector z) {
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
    return reinterpret_cast<Vector>((reinterpret_cast<Integers>(shifted) << 23) + reinterpret_cast<Integers>(p));
}

// 1 / (1 + exp(x)), within 2e-7.
inline Vector sigmoid_of_minus(Vector x) { return 1.0f / (1.0f + exp_of(clamp(x, 30.0f))); }

// products -> gradients, in place; false when a product is not finite (or so large that the next step would not be).
// With the sign of a weight for the label: w (1 - sigmoid(x)) = w sigmoid(-x) and w (0 - sigmoid(x)) = -w sigmoid(x).
inline bool gradients_of(float* products, std::size_t count, const float* weights) {
    for (std::size_t k = count; k % kWidth != 0; ++k) products[k] = 0.0f;
    Integers infinite = {};
    for (std::size_t k = 0; k < count; k += kWidth) {
        const Vector x = load(products + k);
        const Vector w = load(weights + k);
        infinite |= ~((x < 1e30f) & (x > -1e30f));
        store(products + k, w * sigmoid_of_minus(w < 0.0f ? -x : x));
    }
    std::int32_t any = 0;
    for (std::size_t k = 0; k < kWidth; ++k) any |= infinite[k];
    return any == 0;
}

bool update(float* const* inputs, std::size_t input_count, const TargetBlock* blocks, std::size_t block_count,
            std::size_t dim, const float* weights, float* scratch, RowsToFetch& to_fetch) {
    // Read beyond the last input: rows that are there already fill up the last products.
    const float* x[kMostInputs + kInputBlock];
    for (std::size_t i = 0; i < input_count + kInputBlock; ++i) x[i] = inputs[i < input_count ? i : 0];
    float* products = scratch;
    for (const TargetBlock* block = blocks; block != blocks + block_count; ++block) {
        float* to = products;
        for (std::size_t i = block->begin; i < block->end; i += kInputBlock, to += kInputBlock * kTargetBlock) {
            if (to_fetch.count > 0) {
                prefetch(*to_fetch.rows++, to_fetch.stride);
                --to_fetch.count;
            }
            dot_products<kInputBlock>(x + i, block->targets, dim, to);
        }
        products += (block->end - block->begin) * kTargetBlock;
    }
    if (!gradients_of(scratch, static_cast<std::size_t>(products - scratch), weights)) return false;

    Vector old[kMostInputs];
    for (std::size_t d = 0; d < dim; d += kWidth) {
        for (std::size_t i = 0; i < input_count; ++i) old[i] = load(inputs[i] + d);
        const float* gradients = scratch;
        for (const TargetBlock* block = blocks; block != blocks + block_count; ++block) {
            const std::size_t count = block->end - block->begin;
            update_block(inputs + block->begin, count, block->targets, gradients, d, old + block->begin);
            gradients += count * kTargetBlock;
        }
    }
    return true;
}

bool update_one(float* input, float* const* targets, std::size_t target_count, std::size_t dim,
                const float* weights, float* scratch) {
    const float* const x = input;
    for (std::size_t t = 0; t < target_count; t += kTargetBlock) dot_products<1>(&x, targets + t, dim, scratch + t);
    if (!gradients_of(scratch, target_count, weights)) return false;
    for (std::size_t d = 0; d < dim; d += kWidth) {
        const Vector old = load(input + d);
        Vector changed = old;
        for (std::size_t t = 0; t < target_count; ++t) {
            const Vector g = every(scratch[t]);
            const Vector y = load(targets[t] + d);
            changed += g * y;
            store(targets[t] + d, y + g * old);
        }
        store(input + d, changed);
    }
    return true;
}

void mean(const float* const* rows, std::size_t count, std::size_t dim, float* mean) {
    const float share = 1.0f / static_cast<float>(count);
    for (std::size_t d = 0; d < dim; d += kWidth) {
        Vector sum = {};
        for (std::size_t i = 0; i < count; ++i) sum += load(rows[i] + d);
        store(mean + d, sum * share);
    }
}

void spread(float* const* rows, std::size_t count, std::size_t dim, const float* before, const float* after) {
    for (std::size_t d = 0; d < dim; d += kWidth) {
        const Vector change = load(after + d) - load(before + d);
        for (std::size_t i = 0; i < count; ++i) store(rows[i] + d, load(rows[i] + d) + change);
    }
}

// A number as a type: for loops whose length the compiler is to know.
template <std::size_t Value>
struct Constant {
    static constexpr std::size_t value = Value;
};

#include "packed_rows.inl"
#include "padded_rows.inl"
#include "word_hashes.inl"

}  // namespace

const Kernel KERNEL_VARIABLE = {
    KERNEL_NAME, update,  update_one, mean,       spread,         mean_of,           add_to,
    products_of, step_on, softmax_of, sigmoid_of, mean_of_packed, products_of_packed, hash_words};

}  // namespace blazingtext
