// Which words are drawn as negative samples, and which occurrences of frequent words are dropped.
#pragma once

#include <cstdint>
#include <vector>

#include "random.h"

namespace blazingtext {

// Draws words with probability proportional to count^0.75 (Mikolov et al. 2013), in constant time by Walker's alias
// method: a place is drawn evenly, and holds its own word and one other in the right proportion.
class NegativeSampler {
public:
    // counts: in descending order, the first above zero. Words that do not occur have no place: there may be millions.
    explicit NegativeSampler(const std::vector<std::int64_t>& counts);

    struct Place {
        std::uint32_t own;    // the share of the place's own word, in 2^-32
        std::uint32_t other;  // whose the rest is
    };
    const std::vector<Place>& places() const { return places_; }

    std::uint32_t draw(Random& random) const {
        const std::uint64_t bits = random.next();
        const auto place = static_cast<std::uint32_t>(((bits >> 32) * places_.size()) >> 32);
        // Which of the two nobody can foretell, so there must be no branch on it.
        const std::uint32_t is_other = static_cast<std::uint32_t>(bits) > places_[place].own;
        return place ^ ((place ^ places_[place].other) & (0u - is_other));
    }

private:
    std::vector<Place> places_;
};

// For each word the probability of keeping an occurrence, (sqrt(f / t) + 1) t / f as in word2vec.c, in 2^-32;
// the largest value means always.
std::vector<std::uint32_t> keep_probabilities(const std::vector<std::int64_t>& counts, double threshold);

// How many words a step may take at once, as centres and as inputs, so that it hardly holds any word more than once and
// moves none too far.
std::size_t most_words_at_once(const std::vector<std::int64_t>& counts, const std::vector<std::uint32_t>& keep,
                               double learning_rate);

// How many threads may train on the same matrices, at least one. Threads add to rows without locks, which does no harm
// where they rarely hold the same row (Niu et al. 2011, "Hogwild!"). In a corpus of few different words they always do:
// what one of them adds is lost or comes when the others have gone on, and all overshoot together.
std::size_t most_threads(const std::vector<std::int64_t>& counts, const std::vector<std::uint32_t>& keep);

}  // namespace blazingtext
