#include "class_worker.h"

#include <algorithm>

namespace blazingtext {
namespace {

// Output matrices up to so many bytes are copied for each thread.
constexpr std::size_t kCopiedBytes = 16 << 20;

}  // namespace

// With a single thread a copy would do no harm, but no good either.
ClassWorker::ClassWorker(ClassTrainer& trainer, std::uint64_t stream)
    : trainer_(trainer),
      random_(trainer.settings_.seed, stream),
      has_own_output_(trainer.settings_.threads > 1 && trainer.settings_.loss != ClassLoss::kHierarchicalSoftmax &&
                      trainer.output_.rows() * trainer.output_.stride() * sizeof(float) <= kCopiedBytes),
      own_(has_own_output_ ? trainer.output_.rows() : 0, trainer.output_.dim()),
      common_(has_own_output_ ? trainer.output_.rows() : 0, trainer.output_.dim()),
      output_{has_own_output_ ? own_.row(0) : trainer.output_.row(0), trainer.output_.stride(), trainer.output_.dim()},
      vectors_(2, trainer.output_.dim()),
      scores_(1, std::max(trainer.labels_ + kRowPadding, trainer.output_.dim())) {}

void ClassWorker::train(const ClassTrainer::Block& block) {
    const Examples::Shard& shard = trainer_.examples_.shards()[block.shard];
    learning_rate_ = trainer_.learning_rate();
    exchange_output();
    for (std::uint64_t i = block.begin; i < block.end; ++i) train_example(shard, i);
    exchange_output();
    trainer_.rows_done_.fetch_add(static_cast<std::int64_t>(shard.row_begins[block.end] - shard.row_begins[block.begin]),
                                  std::memory_order_relaxed);
}

void ClassWorker::train_example(const Examples::Shard& shard, std::size_t index) {
    const std::uint32_t* const rows = shard.rows.data() + shard.row_begins[index];
    const std::size_t count = shard.row_begins[index + 1] - shard.row_begins[index];
    const std::uint32_t* const labels = shard.labels.data() + shard.label_begins[index];
    const std::size_t label_count = shard.label_begins[index + 1] - shard.label_begins[index];

    const Kernel& kernel = trainer_.kernel_;
    const PaddedRows input = trainer_.input_rows();
    kernel.mean_of(input, rows, count, vectors_.row(0));
    bool finite = false;
    switch (trainer_.settings_.loss) {
        case ClassLoss::kSoftmax:
            finite = step_softmax(drawn_label(labels, label_count));
            break;
        case ClassLoss::kOneVsAll:
            finite = step_one_vs_all(labels, label_count);
            break;
        case ClassLoss::kHierarchicalSoftmax:
            finite = step_tree(drawn_label(labels, label_count));
            break;
    }
    if (!finite) return trainer_.diverged_.store(true, std::memory_order_relaxed);
    // The gradient of the mean: every row has its share.
    kernel.add_to(input, rows, count, vectors_.row(1), 1.0f / static_cast<float>(count));
}

std::uint32_t ClassWorker::drawn_label(const std::uint32_t* labels, std::size_t count) {
    return count == 1 ? labels[0] : labels[random_.below(static_cast<std::uint32_t>(count))];
}

float ClassWorker::rate_of(std::uint32_t label) const {
    const std::vector<float>& weights = trainer_.settings_.label_weights;
    return weights.empty() ? learning_rate_ : learning_rate_ * weights[label];
}

// Descends the cross entropy -log p_label: d/dscore_i = p_i - [i = label].
bool ClassWorker::step_softmax(std::uint32_t label) {
    const Kernel& kernel = trainer_.kernel_;
    float* const scores = scores_.row(0);
    kernel.products_of(output_, trainer_.labels_, vectors_.row(0), scores);
    const bool finite = kernel.softmax_of(scores, trainer_.labels_);
    const float rate = rate_of(label);
    for (std::size_t i = 0; i < trainer_.labels_; ++i) scores[i] *= -rate;
    scores[label] += rate;
    kernel.step_on(output_, trainer_.labels_, scores, vectors_.row(0), vectors_.row(1));
    return finite;
}

// A logistic regression for each label: d/dscore_i = sigmoid(score_i) - [i is one of the labels].
bool ClassWorker::step_one_vs_all(const std::uint32_t* labels, std::size_t count) {
    const Kernel& kernel = trainer_.kernel_;
    float* const scores = scores_.row(0);
    kernel.products_of(output_, trainer_.labels_, vectors_.row(0), scores);
    const bool finite = kernel.sigmoid_of(scores, trainer_.labels_);
    for (std::size_t i = 0; i < trainer_.labels_; ++i) scores[i] *= -rate_of(static_cast<std::uint32_t>(i));
    for (std::size_t i = 0; i < count; ++i) {
        if (std::find(labels, labels + i, labels[i]) == labels + i) scores[labels[i]] += rate_of(labels[i]);
    }
    kernel.step_on(output_, trainer_.labels_, scores, vectors_.row(0), vectors_.row(1));
    return finite;
}

// A logistic regression at each node on the way from the label to the root (Goodman 2001; Mikolov et al. 2013): left
// is 0, right is 1.
bool ClassWorker::step_tree(std::uint32_t label) {
    const Kernel& kernel = trainer_.kernel_;
    const LabelTree& tree = trainer_.tree_;
    const PaddedRows& output = output_;
    std::fill_n(vectors_.row(1), vectors_.stride(), 0.0f);
    const float rate = rate_of(label);
    alignas(kRowAlignment) float score[kRowPadding] = {};
    for (auto node = static_cast<std::int32_t>(label); node != tree.root();) {
        const std::int32_t parent = trainer_.parents_[static_cast<std::size_t>(node)];
        const PaddedRows one = {output.row(static_cast<std::size_t>(parent - tree.labels())), output.stride, output.dim};
        kernel.products_of(one, 1, vectors_.row(0), score);
        if (!kernel.sigmoid_of(score, 1)) return false;
        score[0] = rate * ((tree.children(parent).right == node ? 1.0f : 0.0f) - score[0]);
        kernel.step_on(one, 1, score, vectors_.row(0), scores_.row(0));
        for (std::size_t d = 0; d < output.dim; ++d) vectors_.row(1)[d] += scores_.row(0)[d];
        node = parent;
    }
    return true;
}

// What this thread has changed is added to the common output matrix, which is then where it goes on.
void ClassWorker::exchange_output() {
    if (!has_own_output_) return;
    const std::lock_guard<std::mutex> lock(trainer_.output_lock_);
    const std::size_t size = own_.rows() * own_.stride();
    float* const all = trainer_.output_.row(0);
    float* const own = own_.row(0);
    float* const common = common_.row(0);
    for (std::size_t i = 0; i < size; ++i) {
        all[i] += own[i] - common[i];
        own[i] = common[i] = all[i];
    }
}

}  // namespace blazingtext
