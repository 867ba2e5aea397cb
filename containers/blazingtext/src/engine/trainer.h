// Training of word vectors by several threads on shared matrices.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "corpus.h"
#include "kernel.h"
#include "matrix.h"
#include "sampling.h"
#include "settings.h"
#include "subwords.h"

namespace blazingtext {

class Worker;

// Threads update the matrices without locks (Hogwild, Recht et al. 2011): collisions are rare and cost a little noise.
// With one thread, the result depends on the seed alone, and not on how the words are divided among calls of train.
class Trainer {
public:
    // Throws std::invalid_argument; std::bad_alloc when the matrices do not fit into memory.
    Trainer(const Corpus& corpus, const Settings& settings);
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;
    ~Trainer();

    // Trains up to `words` more tokens with all threads; returns how many there were, 0 at the end.
    // Throws std::domain_error when the vectors have grown beyond all bounds.
    std::int64_t train(std::int64_t words);

    std::int64_t total_words() const { return total_words_; }
    std::int64_t words_done() const { return words_done_.load(std::memory_order_relaxed); }
    double progress() const;
    float learning_rate() const;

    const Kernel& kernel() const { return kernel_; }
    const Subwords& subwords() const { return subwords_; }
    // The vocabulary's rows, then those of subwords().buckets().
    Matrix& input() { return input_; }
    Matrix& output() { return output_; }

    // The vectors a user gets, vocabulary x dim floats: with subwords the mean over a word's row and its n-grams'.
    void word_vectors(float* to) const;

private:
    friend class Worker;

    // A stretch of the corpus that one thread trains at a time.
    struct Block {
        std::size_t begin;
        std::size_t end;
    };

    bool take_block(Block& block);
    void initialise();
    void train_with(Worker& worker, std::atomic<std::int64_t>& budget);

    const Corpus& corpus_;
    const Settings settings_;
    const Kernel& kernel_;
    const NegativeSampler negatives_;
    const std::vector<std::uint32_t> keep_;
    const Subwords subwords_;
    Matrix input_;
    Matrix output_;

    // This rank's part of the corpus.
    std::size_t begin_;
    std::size_t end_;
    std::int64_t total_words_;

    const std::size_t most_centres_;
    std::int64_t blocks_per_epoch_;
    std::atomic<std::int64_t> next_block_{0};
    std::atomic<std::int64_t> words_done_{0};
    std::atomic<bool> diverged_{false};
    std::mutex training_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace blazingtext
