// The k best labels of a text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace blazingtext {

// fastText's logarithm of a probability: its predictions are exp of this.
inline float log_of(float probability) {
    return static_cast<float>(std::log(static_cast<double>(probability) + 1e-5));
}

// Kept as fastText keeps them, in a heap by the logarithm: of several labels that are equally likely, the heap decides
// which are kept and in which order they are given, so that it must be the same heap.
class BestLabels {
public:
    using Scored = std::pair<float, std::int32_t>;

    void start(std::size_t most) {
        most_ = most;
        heap_.clear();
    }

    // Whether a label of this score would not be among the best.
    bool passes_over(float score) const { return heap_.size() == most_ && score < heap_.front().first; }

    // Whether it is certain, by the probability, without its logarithm: that of a probability so much smaller than the
    // last one's is smaller in float, too.
    bool passes_over_probability(float probability) const {
        return heap_.size() == most_ && probability < last_;
    }

    void add(float score, std::int32_t label) {
        heap_.emplace_back(score, label);
        std::push_heap(heap_.begin(), heap_.end(), is_better);
        if (heap_.size() > most_) {
            std::pop_heap(heap_.begin(), heap_.end(), is_better);
            heap_.pop_back();
        }
        if (heap_.size() == most_) last_ = std::exp(heap_.front().first) * (1 - 1e-4f) - 1e-5f;
    }

    // Best first.
    const std::vector<Scored>& sorted() {
        std::sort_heap(heap_.begin(), heap_.end(), is_better);
        return heap_;
    }

private:
    static bool is_better(const Scored& left, const Scored& right) { return left.first > right.first; }

    std::size_t most_ = 0;
    std::vector<Scored> heap_;
    float last_ = 0.0f;
};

}  // namespace blazingtext
