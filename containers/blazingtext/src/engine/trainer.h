// Training of word vectors by several threads on shared matrices.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
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
// Rows of the most frequent words, where they are not rare, each thread has for itself meanwhile (private_rows.h).
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

    // Trains on to the end of each thread's sentence, where little has to be told to go on later: the numbers that
    // resume() takes. Throws as train() does.
    std::vector<std::uint64_t> pause();

    // Goes on where another trainer with the same corpus and settings was paused, but for the matrices, which are the
    // caller's to restore. The other may have had more threads or fewer. Throws std::invalid_argument.
    void resume(const std::vector<std::uint64_t>& paused);

    // Throws std::domain_error when a number of the matrices is not finite. Training notices most of such cases, but
    // only when it meets the row again.
    void check_finite() const;

    std::int64_t total_words() const { return total_words_; }
    std::int64_t words_done() const { return words_done_.load(std::memory_order_relaxed); }
    double progress() const;
    float learning_rate() const;

    // That train: fewer than the settings' where the corpus has so few different words that more would spoil each
    // other's work.
    int threads() const { return static_cast<int>(workers_.size()); }

    const Settings& settings() const { return settings_; }
    const Kernel& kernel() const { return kernel_; }
    const NegativeSampler& negatives() const { return negatives_; }
    const std::vector<std::uint32_t>& keep() const { return keep_; }
    const Subwords& subwords() const { return subwords_; }
    const Vocabulary& vocabulary() const { return corpus_.vocabulary(); }
    // The vocabulary's rows, then those of subwords().buckets().
    Matrix& input() { return input_; }
    const Matrix& input() const { return input_; }
    Matrix& output() { return output_; }

    // The vectors of words [begin, end) that a user gets, (end - begin) x dim floats: with subwords the mean over a
    // word's row and its n-grams'.
    void word_vectors(std::size_t begin, std::size_t end, float* to) const;

    // Writes all words' vectors as text, with all threads. Throws FileError.
    void write_text_vectors(const std::string& path) const;

private:
    friend class Worker;

    // A stretch of the corpus that one thread trains at a time.
    struct Block {
        std::size_t begin;
        std::size_t end;
    };

    // Where a thread is between two sentences: what is left of its block, and its random numbers.
    struct Place {
        Block rest;
        std::uint64_t random;
    };

    bool take_block(Worker& worker);
    std::int64_t tokens_before(std::int64_t block) const;
    void check(const Place& place) const;
    void initialise();
    void throw_if_diverged() const;
    void train_with(Worker& worker, std::atomic<std::int64_t>& budget);
    template <class Work>
    void with_all_workers(Work work);
    void average_private_rows();

    const Corpus& corpus_;
    const Settings settings_;
    const Kernel& kernel_;
    const NegativeSampler negatives_;
    const std::vector<std::uint32_t> keep_;
    const Subwords subwords_;
    Matrix input_;
    Matrix output_;

    std::int64_t total_words_;
    const std::size_t most_at_once_;
    std::int64_t blocks_per_epoch_;
    std::atomic<std::int64_t> next_block_{0};
    // Of a paused trainer with more threads than this one: taken before new blocks.
    std::vector<Place> left_behind_;
    std::atomic<std::size_t> next_left_behind_{0};
    std::atomic<std::int64_t> words_done_{0};
    std::atomic<bool> diverged_{false};
    std::mutex training_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace blazingtext
