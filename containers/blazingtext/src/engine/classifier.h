// Labels of texts by a supervised fastText model, equal to fastText's.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "best_labels.h"
#include "label_tree.h"
#include "model_file.h"
#include "text_rows.h"

namespace blazingtext {

// The labels of texts, one text's after the other's, best first.
struct Predictions {
    std::vector<std::int64_t> starts;  // those of text i begin at starts[i]; one more for the end
    std::vector<std::int32_t> labels;
    std::vector<float> probabilities;
};

// Many threads may ask at once.
class Classifier {
public:
    // The model must live as long. Throws std::invalid_argument when it is no classifier.
    explicit Classifier(const ModelFile& model);

    // The k[i] best labels of text i whose probability is at least `threshold`; all of them where there are fewer, none
    // for a text of which the model knows nothing. As in fastText, a probability is told 10^-5 too large.
    // Throws std::invalid_argument for a k below 1, std::domain_error where weights give no numbers.
    Predictions predict(const std::vector<std::string_view>& texts, const std::vector<std::int64_t>& k,
                        float threshold) const;

private:
    // What one thread works with.
    struct Work {
        RowFinder finder;
        std::vector<std::uint32_t> rows;
        std::vector<float> hidden;
        std::vector<float> outputs;
        std::vector<std::pair<std::int32_t, float>> nodes;
        BestLabels best;
    };

    std::unique_ptr<Work> take_work() const;
    void give_back(std::unique_ptr<Work> work) const;
    void find_best(Work& work, float threshold) const;
    void descend(Work& work, float threshold) const;
    void to_probabilities(std::vector<float>& outputs) const;

    const ModelFile& model_;
    LabelTree tree_;
    // Of threads that have answered: to take memory anew for each short text takes a quarter of its time.
    mutable std::mutex idle_mutex_;
    mutable std::vector<std::unique_ptr<Work>> idle_;
};

}  // namespace blazingtext
