// The arithmetic of training, one implementation per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace blazingtext {

// Rows of `dim` numbers are padded with zeros to whole cache lines: every implementation may read and write them in
// full vectors, as many as dim needs.
constexpr std::size_t kRowAlignment = 64;
constexpr std::size_t kRowPadding = kRowAlignment / sizeof(float);

constexpr std::size_t padded(std::size_t dim) { return (dim + kRowPadding - 1) / kRowPadding * kRowPadding; }

// Target rows are worked on in blocks of so many.
constexpr std::size_t kTargetBlock = 4;
// The largest number of input rows that one call of Kernel::update takes.
constexpr std::size_t kMostInputs = 32;

// Target rows, and the inputs begin <= i < end that have pairs with them.
struct TargetBlock {
    float* targets[kTargetBlock];
    std::size_t begin;
    std::size_t end;
};

// Rows that steps to come will change. They are fetched into the cache while a step computes, a row with each few
// products: if all were fetched at once, they would wait for each other, and the step for them.
struct RowsToFetch {
    float* const* rows;
    std::size_t count;
    std::size_t stride;
};

// The padded rows of a Matrix.
struct PaddedRows {
    float* data;
    std::size_t stride;
    std::size_t dim;

    float* row(std::size_t index) const { return data + index * stride; }
};

// So many numbers of rows are read beyond those that are worked on: they say what to bring to the cache.
constexpr std::size_t kRowsAhead = 8;

// Rows of dim floats, one behind the other, at any address and without padding: as model files hold them.
struct PackedRows {
    const char* data;
    std::size_t dim;
};

constexpr std::uint32_t kFnvBasis = 2166136261U;
constexpr std::uint32_t kFnvPrime = 16777619U;

// Bytes of a word that are hashed side by side with others' by Kernel::hash_words, and how many words are.
constexpr std::size_t kHashedBytes = 12;
constexpr std::size_t kWordsAtOnce = 16;

// The first bytes of words: the first four of each word, the next four, and the last four.
struct WordParts {
    const std::uint32_t* parts[kHashedBytes / sizeof(std::uint32_t)];
};

// Steps of skip-gram with negative sampling (eq. 4 of Mikolov et al. 2013, "Distributed representations of words and
// phrases"). One for the pair of an input row x and a target row y is
//     g = |weight| * (label - sigmoid(x . y));   x += g y;   y += g x;   label = 1 for weight > 0, 0 for weight < 0.
// Weights, and scratch memory as large, are padded as rows are. Blocks that lack targets are filled up with any rows
// and zero weights. The steps return false when a product was not a finite number; then nothing was changed.
struct Kernel {
    const char* name;

    // All pairs of the blocks, with the values from before the step. `weights`: for each block one row of four after
    // the other, for each of its inputs. `scratch` is kMostInputs / 2 longer than that. Fetches rows from the beginning
    // of `to_fetch`, which then holds the others.
    bool (*update)(float* const* inputs, std::size_t input_count, const TargetBlock* blocks, std::size_t block_count,
                   std::size_t dim, const float* weights, float* scratch, RowsToFetch& to_fetch);

    // One input and target_count targets, a multiple of kTargetBlock, with the input's value from before the step.
    bool (*update_one)(float* input, float* const* targets, std::size_t target_count, std::size_t dim,
                       const float* weights, float* scratch);

    // mean = sum of rows / count
    void (*mean)(const float* const* rows, std::size_t count, std::size_t dim, float* mean);

    // Every row += after - before.
    void (*spread)(float* const* rows, std::size_t count, std::size_t dim, const float* before, const float* after);

    // The following serve text classification; vectors are padded as rows are.

    // mean = sum of some rows / count; kRowsAhead more numbers of rows can be read behind them.
    void (*mean_of)(const PaddedRows& matrix, const std::uint32_t* rows, std::size_t count, float* mean);

    // Some rows += share * change, a row that is named twice twice.
    void (*add_to)(const PaddedRows& matrix, const std::uint32_t* rows, std::size_t count, const float* change,
                   float share);

    // products[i] = row i . x for the first `count` rows; products is padded.
    void (*products_of)(const PaddedRows& matrix, std::size_t count, const float* x, float* products);

    // change = sum_i weights[i] row i, and then row i += weights[i] x, for the first `count` rows.
    void (*step_on)(const PaddedRows& matrix, std::size_t count, const float* weights, const float* x, float* change);

    // values -> exp(values) / sum of them, and 1 / (1 + exp(-values)); false when one was not finite.
    bool (*softmax_of)(float* values, std::size_t count);
    bool (*sigmoid_of)(float* values, std::size_t count);

    // And these its predictions.

    // mean = sum of some rows / count, count > 0; writes dim floats.
    void (*mean_of_packed)(const PackedRows& matrix, const std::uint32_t* rows, std::size_t count, float* mean);

    // products[i] = row i . x for the first `count` rows; x has dim floats.
    void (*products_of_packed)(const PackedRows& matrix, std::size_t count, const float* x, float* products);

    // hashes[i] = fnv1a of the first lengths[i] bytes of word i, at most kHashedBytes. All arrays go on for kWordsAtOnce.
    void (*hash_words)(const WordParts& words, const std::uint32_t* lengths, std::size_t count, std::uint32_t* hashes);
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
