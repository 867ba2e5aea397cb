#include "label_tree.h"

namespace blazingtext {

LabelTree::LabelTree(const std::vector<std::int64_t>& counts) {
    const auto labels = static_cast<std::int32_t>(counts.size());
    // Exact to 2^53, and no sum of counts that a damaged file may hold overflows.
    std::vector<double> weights(counts.begin(), counts.end());
    std::int32_t leaf = labels - 1;  // the rarest label that has no parent yet
    std::int32_t inner = labels;     // the lightest node that has none
    const auto lightest = [&](std::int32_t next) {
        const bool take_leaf = leaf >= 0 && (inner == next || weights[static_cast<std::size_t>(leaf)] <
                                                                  weights[static_cast<std::size_t>(inner)]);
        return take_leaf ? leaf-- : inner++;
    };
    for (std::int32_t next = labels; next < 2 * labels - 1; ++next) {
        const std::int32_t left = lightest(next);
        const std::int32_t right = lightest(next);
        inner_.push_back(Children{left, right});
        weights.push_back(weights[static_cast<std::size_t>(left)] + weights[static_cast<std::size_t>(right)]);
    }
}

}  // namespace blazingtext
