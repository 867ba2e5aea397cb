// One training thread's place in the corpus and its scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "random.h"
#include "trainer.h"

namespace blazingtext {

class Worker {
public:
    Worker(Trainer& trainer, std::uint64_t stream);

    // The tokens left of the block that is being trained.
    std::size_t left() const { return block_.end - position_; }
    void begin(const Trainer::Block& block);

    // Trains the next `tokens` tokens of the block, at most left(); may stop and go on in the middle of a sentence.
    void advance(std::size_t tokens);

private:
    void read_sentence();
    void train_centre(std::size_t centre);
    void train_batches(std::size_t centre);
    void train_skipgram(std::size_t centre);
    void train_cbow(std::size_t centre);

    void collect_contexts(std::size_t centre);
    void draw_negatives(std::uint32_t positive, std::vector<std::uint32_t>& drawn);
    void set_targets(std::uint32_t positive, const std::vector<std::uint32_t>& negatives);
    void add_rows(std::uint32_t word);
    void step(float* const* inputs, std::size_t count);
    void count_progress();

    Trainer& trainer_;
    const Settings& settings_;
    Random random_;

    Trainer::Block block_{0, 0};
    std::size_t position_ = 0;  // tokens of the block before it are done
    std::size_t counted_ = 0;   // of them, those before it are in the trainer's words_done

    // The words of a sentence that are trained, and their places in the corpus.
    std::vector<std::uint32_t> sentence_;
    std::vector<std::size_t> places_;
    std::size_t sentence_end_ = 0;
    std::size_t next_ = 0;  // centre
    float learning_rate_ = 0.0f;

    std::vector<std::uint32_t> contexts_;
    std::vector<std::uint32_t> negatives_;
    std::vector<std::uint32_t> next_negatives_;
    std::vector<float*> rows_;
    std::vector<float*> targets_;
    Matrix vectors_;  // the mean of input rows, and its value before the step
    Matrix scratch_;
};

}  // namespace blazingtext
