// One training thread of a classifier, and its scratch memory.
#pragma once

#include <cstdint>
#include <vector>

#include "class_trainer.h"
#include "random.h"

namespace blazingtext {

class ClassWorker {
public:
    ClassWorker(ClassTrainer& trainer, std::uint64_t stream);

    void train(const ClassTrainer::Block& block);

private:
    void train_example(const Examples::Shard& shard, std::size_t index);
    std::uint32_t drawn_label(const std::uint32_t* labels, std::size_t count);
    bool step_softmax(std::uint32_t label);
    bool step_one_vs_all(const std::uint32_t* labels, std::size_t count);
    bool step_tree(std::uint32_t label);
    float rate_of(std::uint32_t label) const;
    void exchange_output();

    ClassTrainer& trainer_;
    Random random_;
    bool has_own_output_;
    Matrix own_;     // of the output matrix: as this thread has changed it,
    Matrix common_;  // and as it was when the two were last the same
    PaddedRows output_;
    Matrix vectors_;  // the hidden vector, and its change
    Matrix scores_;
    float learning_rate_ = 0.0f;
};

}  // namespace blazingtext
