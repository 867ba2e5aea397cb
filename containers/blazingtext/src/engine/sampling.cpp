#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "kernel.h"

namespace blazingtext {
namespace {

constexpr double kOne = 4294967296.0;
constexpr std::uint32_t kAlways = std::numeric_limits<std::uint32_t>::max();
// By trial: with ten words three threads spoil the vectors, with three hundred they do not.
constexpr double kWordsPerThread = 32.0;
// The learning rates of all inputs that move a target together, added up: kMostInputs of the usual 0.05.
constexpr double kLongestStep = 1.6;

std::uint32_t share(double probability) {
    return static_cast<std::uint32_t>(std::clamp(probability * kOne, 0.0, static_cast<double>(kAlways)));
}

}  // namespace

NegativeSampler::NegativeSampler(const std::vector<std::int64_t>& counts)
    : places_(static_cast<std::size_t>(std::find(counts.begin(), counts.end(), 0) - counts.begin())) {
    std::vector<double> weights(places_.size());
    std::transform(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(places_.size()), weights.begin(),
                   [](std::int64_t count) { return std::pow(static_cast<double>(count), 0.75); });
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& weight : weights) weight *= static_cast<double>(places_.size()) / total;

    // Vose's construction: each word with too little is filled up from one with too much.
    std::vector<std::uint32_t> small;
    std::vector<std::uint32_t> large;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        (weights[i] < 1.0 ? small : large).push_back(static_cast<std::uint32_t>(i));
        places_[i] = Place{kAlways, static_cast<std::uint32_t>(i)};
    }
    while (!small.empty() && !large.empty()) {
        const std::uint32_t poor = small.back();
        const std::uint32_t rich = large.back();
        small.pop_back();
        places_[poor] = Place{share(weights[poor]), rich};
        weights[rich] -= 1.0 - weights[poor];
        if (weights[rich] < 1.0) {
            large.pop_back();
            small.push_back(rich);
        }
    }
}

std::vector<std::uint32_t> keep_probabilities(const std::vector<std::int64_t>& counts, double threshold) {
    const auto total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
    std::vector<std::uint32_t> keep(counts.size(), kAlways);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double relative = static_cast<double>(counts[i]) / total / threshold;
        keep[i] = share((std::sqrt(relative) + 1.0) / relative);
    }
    return keep;
}

std::size_t most_words_at_once(const std::vector<std::int64_t>& counts, const std::vector<std::uint32_t>& keep,
                               double learning_rate) {
    double all = 0.0;
    double most = 0.0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double kept = static_cast<double>(counts[i]) * static_cast<double>(keep[i]);
        all += kept;
        most = std::max(most, kept);
    }
    const double at_once = std::min(all / std::max(most, 1.0), kLongestStep / learning_rate);
    return std::clamp<std::size_t>(static_cast<std::size_t>(at_once), 1, kMostInputs);
}

std::size_t most_threads(const std::vector<std::int64_t>& counts, const std::vector<std::uint32_t>& keep) {
    double all = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double kept = static_cast<double>(counts[i]) * static_cast<double>(keep[i]);
        all += kept;
        squares += kept * kept;
    }
    // Two tokens are the same word as often as if so many words were equally frequent.
    const double different_words = all * all / std::max(squares, 1.0);
    return std::max<std::size_t>(1, static_cast<std::size_t>(different_words / kWordsPerThread));
}

}  // namespace blazingtext
