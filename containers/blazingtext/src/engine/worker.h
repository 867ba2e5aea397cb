// One training thread's place in the corpus and its scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "private_rows.h"
#include "random.h"
#include "trainer.h"

namespace blazingtext {

class Worker {
public:
    // private_rows: how many rows of each matrix this thread has copies of.
    Worker(Trainer& trainer, std::uint64_t stream, std::size_t private_rows);

    // Takes copies of the trainer's rows anew; what it trains from here on is counted.
    void begin_round();
    std::size_t trained_in_round() const { return trained_in_round_; }
    const PrivateRows& private_rows() const { return private_rows_; }

    // The tokens left of the block that is being trained.
    std::size_t left() const { return block_.end - position_; }
    void begin(const Trainer::Block& block);

    // Trains the next `tokens` tokens of the block, at most left(); may stop and go on in the middle of a sentence.
    void advance(std::size_t tokens);

    // Between two sentences, and only there, this is all that training depends on.
    Trainer::Place place() const { return {{position_, block_.end}, random_.state()}; }
    void resume(const Trainer::Place& place);
    // Trains the rest of the sentence.
    void finish_sentence() { advance(sentence_end_ - position_); }

private:
    // Neighbouring words of the sentence that are trained as centres in one step, and the words that are their targets.
    // It is drawn up one step early: its rows travel to the cache while the step before is worked on.
    struct Step {
        std::size_t centre = 0;
        std::size_t centres = 0;
        std::size_t begin = 0;  // of all words in the centres' windows
        std::size_t end = 0;
        std::vector<std::uint32_t> targets;
    };

    void read_sentence();
    void draw_up(Step& step, std::size_t centre);
    void draw_up_batch(Step& step);
    void draw_up_skipgram(Step& step);
    void draw_up_cbow(Step& step);
    void train(const Step& step);
    void train_batch(const Step& step);
    void train_skipgram(const Step& step);
    void train_cbow(const Step& step);

    std::size_t window_begin(std::size_t centre) const;
    std::size_t window_end(std::size_t centre) const;
    void draw_negatives(std::uint32_t positive, std::vector<std::uint32_t>& targets);
    float* add_centres(const Step& step, std::size_t first, std::size_t begin, std::size_t end, float* weights);
    float* target(const Step& step, std::size_t index);
    void set_blocks(const Step& step, std::size_t begin, std::size_t end);
    float* input_row(std::size_t row);
    float* output_row(std::size_t row);
    void fetch_rest();
    void add_rows(std::uint32_t word, std::vector<float*>& rows);
    void step_on_mean(const Step& step);
    void check(bool finite);
    void count_progress();

    Trainer& trainer_;
    const Settings& settings_;
    PrivateRows private_rows_;
    Random random_;

    Trainer::Block block_{0, 0};
    std::size_t position_ = 0;  // tokens of the block before it are done
    std::size_t counted_ = 0;   // of them, those before it are in the trainer's words_done
    std::size_t trained_in_round_ = 0;

    // The words of a sentence that are trained, their places in the corpus, and how far their windows reach.
    std::vector<std::uint32_t> sentence_;
    std::vector<std::size_t> places_;
    std::vector<std::uint32_t> windows_;
    std::size_t size_ = 0;
    std::size_t sentence_end_ = 0;
    std::size_t next_ = 0;     // centre
    std::size_t fetched_ = 0;  // words of the sentence before it are or will be fetched as inputs of batch_skipgram
    float learning_rate_ = 0.0f;

    Step step_;
    Step next_step_;
    std::vector<float*> rows_;
    std::vector<float*> rows_to_fetch_;       // those that the next step changes
    RowsToFetch to_fetch_ = {nullptr, 0, 0};  // what is left of them
    std::vector<float*> targets_;
    std::vector<TargetBlock> blocks_;
    std::vector<std::int32_t> pairs_;
    Matrix vectors_;  // the mean of input rows, its value before the step, and zeros
    Matrix weights_;
    Matrix scratch_;
};

}  // namespace blazingtext
