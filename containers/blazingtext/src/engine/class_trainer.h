// Training of a text classifier by several threads (Joulin et al. 2017, "Bag of tricks for efficient text
// classification").
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "examples.h"
#include "kernel.h"
#include "label_tree.h"
#include "matrix.h"

namespace blazingtext {

enum class ClassLoss { kSoftmax, kOneVsAll, kHierarchicalSoftmax };

// Throws std::invalid_argument for an unknown name: softmax, ova and hs are known.
ClassLoss class_loss_of(const std::string& name);

struct ClassSettings {
    ClassLoss loss;
    int dim;
    int epochs;
    double learning_rate;
    std::uint64_t seed;
    int threads;
    std::vector<float> label_weights;  // one for each label, or none
    std::string instructions;          // the kernel's name, "" for the fastest

    // Throws std::invalid_argument for values that cannot be trained with.
    void check(std::size_t labels) const;
};

class ClassWorker;

// A text's vector is the mean of its rows of the input matrix; labels are told from it by a linear model, the output
// matrix. Each label of an example that has several is drawn at random, as in fastText, but all count with one-vs-all.
// Threads add to the input matrix without locks (Hogwild), and to the output matrix by way of copies of their own: every
// example touches all of it. With one thread the result depends on the seed alone.
class ClassTrainer {
public:
    // counts: of the labels, for the tree of hierarchical softmax. The examples must live as long.
    // Throws std::invalid_argument; std::bad_alloc when the matrices do not fit into memory.
    ClassTrainer(const Examples& examples, const std::vector<std::int64_t>& counts, const ClassSettings& settings);
    ClassTrainer(const ClassTrainer&) = delete;
    ClassTrainer& operator=(const ClassTrainer&) = delete;
    ~ClassTrainer();

    // Trains about `examples` more examples with all threads, but not beyond the end of the epoch; returns whether
    // that is where it stands. Throws std::domain_error when the vectors have grown beyond all bounds.
    bool train(std::int64_t examples);

    // Epochs done, and the share of all training that is.
    int epochs_done() const { return static_cast<int>(next_block_ / static_cast<std::int64_t>(blocks_.size())); }
    double progress() const;
    float learning_rate() const;

    // Of how many of these examples the most probable label is one of theirs.
    std::int64_t correct(const Examples& examples, int threads) const;

    // Keeps the matrices as they are, and goes back to what was kept.
    void keep_weights();
    void restore_weights();

    // Throws std::domain_error when a number of the matrices is not finite.
    void check_finite() const;

    const ClassSettings& settings() const { return settings_; }
    const Kernel& kernel() const { return kernel_; }
    // The dictionary's words, the buckets in use, a row of zeros.
    Matrix& input() { return input_; }
    Matrix& output() { return output_; }

private:
    friend class ClassWorker;

    // Examples [begin, end) of a shard, trained by one thread at a time.
    struct Block {
        std::uint32_t shard;
        std::uint64_t begin;
        std::uint64_t end;
    };

    PaddedRows input_rows() const { return {const_cast<float*>(input_.row(0)), input_.stride(), input_.dim()}; }
    static std::vector<Block> dealt(const std::vector<Block>& blocks, std::size_t parts);
    void initialise();
    std::uint32_t best_label(const std::uint32_t* rows, std::size_t count, Matrix& scratch) const;
    std::uint32_t best_leaf(const float* hidden) const;

    const Examples& examples_;
    const ClassSettings settings_;
    const Kernel& kernel_;
    const std::size_t labels_;
    LabelTree tree_;
    std::vector<std::int32_t> parents_;  // in the tree
    Matrix input_;
    Matrix output_;
    std::unique_ptr<Matrix> kept_input_;
    std::unique_ptr<Matrix> kept_output_;
    std::vector<Block> blocks_;
    std::int64_t next_block_ = 0;  // blocks of all epochs that were handed out
    std::atomic<std::int64_t> rows_done_{0};
    std::int64_t rows_in_all_;
    std::atomic<bool> diverged_{false};
    std::mutex output_lock_;
    std::vector<std::unique_ptr<ClassWorker>> workers_;
};

}  // namespace blazingtext
