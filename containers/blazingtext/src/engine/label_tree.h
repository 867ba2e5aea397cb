// The tree of hierarchical softmax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace blazingtext {

// A Huffman tree over the labels, of their counts (Goodman 2001; Mikolov et al. 2013), with ties broken as fastText
// breaks them. Nodes below size() are the labels, the others have rows in the output matrix: node - size(). The
// last one is the root.
class LabelTree {
public:
    struct Children {
        std::int32_t left;
        std::int32_t right;
    };

    LabelTree() = default;
    // counts: at least one, below 10^15, best in descending order.
    explicit LabelTree(const std::vector<std::int64_t>& counts);

    std::int32_t labels() const { return static_cast<std::int32_t>(inner_.size()) + 1; }
    std::int32_t root() const { return 2 * labels() - 2; }
    const Children& children(std::int32_t node) const { return inner_[static_cast<std::size_t>(node - labels())]; }

private:
    std::vector<Children> inner_;
};

}  // namespace blazingtext
