// The arithmetic of training, one implementation per instruction set.
#pragma once

#include <cstddef>

namespace blazingtext {

// Rows are padded with zeros to whole cache lines: every implementation may read and write them in full vectors.
constexpr std::size_t kRowAlignment = 64;
constexpr std::size_t kRowPadding = kRowAlignment / sizeof(float);

constexpr std::size_t padded(std::size_t dim) { return (dim + kRowPadding - 1) / kRowPadding * kRowPadding; }

// The largest number of input rows that one call of Kernel::update takes.
constexpr std::size_t kLargestBatch = 32;

struct Kernel {
    const char* name;

    // One step of skip-gram with negative sampling for every pair of an input row x and a target row y, all with the
    // values from before the step (eq. 4 of Mikolov et al. 2013, "Distributed representations of words and phrases"):
    //     g = learning_rate * (label - sigmoid(x . y));   x += g y;   y += g x;   label = 1 for targets[0], else 0.
    // `scratch` holds inputs x targets floats and one cache line more, aligned as rows are. Returns false when a
    // product was not a finite number, in which case nothing was changed.
    bool (*update)(float* const* inputs, std::size_t input_count, float* const* targets, std::size_t target_count,
                   std::size_t stride, float learning_rate, float* scratch);

    // mean = sum of rows / count
    void (*mean)(const float* const* rows, std::size_t count, std::size_t stride, float* mean);

    // Every row += after - before.
    void (*spread)(float* const* rows, std::size_t count, std::size_t stride, const float* before, const float* after);
};

extern const Kernel kPortableKernel;
extern const Kernel kAvx2Kernel;
extern const Kernel kAvx512Kernel;

// The kernel of that name ("portable", "avx2", "avx512"), or the fastest that this processor runs for "".
// Throws std::invalid_argument when there is no such kernel or this processor cannot run it.
const Kernel& choose_kernel(const char* name);

// The kernels that this processor runs, fastest first, ended by nullptr.
const Kernel* const* usable_kernels();

}  // namespace blazingtext
