#include "classifier.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace blazingtext {
namespace {

// fastText's sigmoid: a table of steps, by which independent probabilities are rounded.
class SigmoidTable {
public:
    SigmoidTable() {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            const float x = static_cast<float>(i) * 2 * kLargest / kSteps - kLargest;
            values_[i] = static_cast<float>(1.0 / (1.0 + std::exp(-x)));
        }
    }

    // x: a number.
    float operator()(float x) const {
        if (x < -kLargest) return 0.0f;
        if (x > kLargest) return 1.0f;
        return values_[static_cast<std::size_t>((x + kLargest) * kSteps / kLargest / 2)];
    }

private:
    static constexpr int kSteps = 512;
    static constexpr float kLargest = 8;
    std::array<float, kSteps + 1> values_;
};

const SigmoidTable& sigmoid() {
    static const SigmoidTable table;
    return table;
}

// Memory for longer texts than this is given back.
constexpr std::size_t kMostRowsKept = 65536;

[[noreturn]] void refuse_weights() {
    throw std::domain_error("the model's weights give no probabilities: some are no numbers, or beyond all bounds.");
}

std::vector<std::int64_t> label_counts(const Dictionary& dictionary) {
    std::vector<std::int64_t> counts;
    for (std::size_t entry = dictionary.words(); entry < dictionary.size(); ++entry) {
        counts.push_back(dictionary.count(entry));
    }
    return counts;
}

}  // namespace

Classifier::Classifier(const ModelFile& model) : model_(model) {
    if (!model.supervised()) {
        throw std::invalid_argument(model.path() + " holds word vectors; it is no text classifier.");
    }
    if (model.settings().loss == Loss::kHierarchicalSoftmax) tree_ = LabelTree(label_counts(model.dictionary()));
}

Predictions Classifier::predict(const std::vector<std::string_view>& texts, const std::vector<std::int64_t>& k,
                                float threshold) const {
    const std::size_t labels = model_.dictionary().labels();
    std::unique_ptr<Work> taken = take_work();
    Work& work = *taken;
    Predictions found;
    found.starts.reserve(texts.size() + 1);
    found.starts.push_back(0);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (k[i] < 1) throw std::invalid_argument("k must be at least 1.");
        work.rows.clear();
        work.finder.add_text(texts[i], work.rows);
        if (!work.rows.empty()) {
            model_.input().mean(model_.kernel(), work.rows.data(), work.rows.size(), work.hidden.data());
            work.best.start(std::min(static_cast<std::size_t>(k[i]), labels));
            find_best(work, threshold);
            for (const auto& [score, label] : work.best.sorted()) {
                found.labels.push_back(label);
                found.probabilities.push_back(std::exp(score));
            }
        }
        found.starts.push_back(static_cast<std::int64_t>(found.labels.size()));
    }
    give_back(std::move(taken));
    return found;
}

std::unique_ptr<Classifier::Work> Classifier::take_work() const {
    {
        const std::lock_guard<std::mutex> lock(idle_mutex_);
        if (!idle_.empty()) {
            std::unique_ptr<Work> work = std::move(idle_.back());
            idle_.pop_back();
            return work;
        }
    }
    return std::make_unique<Work>(Work{RowFinder(model_), {}, std::vector<float>(model_.input().dim()),
                                       std::vector<float>(model_.dictionary().labels()), {}, {}});
}

void Classifier::give_back(std::unique_ptr<Work> work) const {
    if (work->rows.capacity() > kMostRowsKept) return;
    const std::lock_guard<std::mutex> lock(idle_mutex_);
    idle_.push_back(std::move(work));
}

void Classifier::find_best(Work& work, float threshold) const {
    if (model_.settings().loss == Loss::kHierarchicalSoftmax) {
        descend(work, threshold);
        return;
    }
    model_.output().products(model_.kernel(), 0, work.outputs.size(), work.hidden.data(), work.outputs.data());
    to_probabilities(work.outputs);
    for (std::size_t label = 0; label < work.outputs.size(); ++label) {
        const float probability = work.outputs[label];
        if (probability < threshold || work.best.passes_over_probability(probability)) continue;
        const float score = log_of(probability);
        if (!work.best.passes_over(score)) work.best.add(score, static_cast<std::int32_t>(label));
    }
}

// In place: softmax, or each label's own sigmoid.
void Classifier::to_probabilities(std::vector<float>& outputs) const {
    if (std::any_of(outputs.begin(), outputs.end(), [](float x) { return std::isnan(x); })) refuse_weights();
    if (model_.settings().loss != Loss::kSoftmax) {
        std::transform(outputs.begin(), outputs.end(), outputs.begin(), sigmoid());
        return;
    }
    const float largest = *std::max_element(outputs.begin(), outputs.end());
    if (std::isinf(largest)) refuse_weights();
    float sum = 0.0f;
    for (float& output : outputs) {
        output = std::exp(output - largest);
        sum += output;
    }
    for (float& output : outputs) output /= sum;
}

// Depth first, left before right, leaving out what cannot be among the best: a node's score is the sum of the
// logarithms of the probabilities on the way to it, which only falls.
void Classifier::descend(Work& work, float threshold) const {
    const float least = log_of(threshold);
    work.nodes.assign(1, {tree_.root(), 0.0f});
    while (!work.nodes.empty()) {
        const auto [node, score] = work.nodes.back();
        work.nodes.pop_back();
        if (score < least || work.best.passes_over(score)) continue;
        if (node < tree_.labels()) {
            work.best.add(score, node);
            continue;
        }
        float product;
        const auto row = static_cast<std::size_t>(node - tree_.labels());
        model_.output().products(model_.kernel(), row, 1, work.hidden.data(), &product);
        if (std::isnan(product)) refuse_weights();
        const auto right = static_cast<float>(1.0 / (1 + std::exp(-product)));
        const LabelTree::Children& children = tree_.children(node);
        work.nodes.emplace_back(children.right, score + log_of(right));
        work.nodes.emplace_back(children.left, score + log_of(static_cast<float>(1.0 - right)));
    }
}

}  // namespace blazingtext
