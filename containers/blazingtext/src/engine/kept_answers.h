// Answers for single words as an endpoint sends them, kept for the words that were last asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blazingtext {

// A table of sets of four answers. Where a set is full, the answer that was not asked for the longest gives way: nearly
// as good as a list of all answers by their last use, and two cache lines are read in place of a dozen.
class KeptAnswers {
public:
    // most: answers, at least one; rounded up to whole sets.
    explicit KeptAnswers(std::size_t most);

    // The answers for some words, one after the other; none if one of them is missing. They live until the next `keep`.
    std::vector<std::string_view> find(const std::vector<std::string_view>& words);

    // Keeps the answer for a word; an older one is replaced.
    void keep(std::string_view word, std::string_view answer);

private:
    static constexpr std::size_t kWays = 4;

    struct Set {
        std::uint32_t hashes[kWays];
        std::uint32_t last_used[kWays];  // by the number of the request; 0 where nothing is kept
    };
    struct Answer {
        std::string word;
        std::string json;
    };

    std::size_t set_of(std::uint32_t hash) const {
        return static_cast<std::size_t>(hash * std::uint64_t{sets_.size()} >> 32);
    }
    std::size_t way_of(std::size_t set, std::uint32_t hash, std::string_view word) const;
    std::uint32_t now();

    std::vector<Set> sets_;
    std::vector<Answer> answers_;  // of one set after the other
    std::uint32_t requests_ = 0;
    // Of the words that are looked for.
    std::vector<std::uint32_t> hashes_;
};

}  // namespace blazingtext
