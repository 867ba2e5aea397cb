#include "kept_answers.h"

#include <algorithm>

#include "kernel.h"
#include "subwords.h"

namespace blazingtext {

KeptAnswers::KeptAnswers(std::size_t most)
    : sets_((std::max<std::size_t>(most, 1) + kWays - 1) / kWays), answers_(sets_.size() * kWays) {}

// What is looked at is far from the processor: all words' sets are on their way before the first is looked at, then all
// answers' texts before the first is copied.
std::vector<std::string_view> KeptAnswers::find(const std::vector<std::string_view>& words) {
    hashes_.clear();
    for (const std::string_view word : words) {
        const std::uint32_t hash = fnv1a(word);
        hashes_.push_back(hash);
        const std::size_t set = set_of(hash);
        __builtin_prefetch(&sets_[set], 1);
        for (std::size_t way = 0; way < kWays; ++way) __builtin_prefetch(&answers_[set * kWays + way]);
    }
    const std::uint32_t request = now();
    std::vector<std::string_view> found;
    found.reserve(words.size());
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::size_t set = set_of(hashes_[i]);
        const std::size_t way = way_of(set, hashes_[i], words[i]);
        if (way == kWays) return {};
        sets_[set].last_used[way] = request;
        found.push_back(answers_[set * kWays + way].json);
        const std::string_view json = found.back();
        for (std::size_t at = 0; at < json.size(); at += kRowAlignment) __builtin_prefetch(json.data() + at);
    }
    return found;
}

void KeptAnswers::keep(std::string_view word, std::string_view answer) {
    const std::uint32_t hash = fnv1a(word);
    const std::size_t set = set_of(hash);
    std::size_t way = way_of(set, hash, word);
    std::uint32_t* const last_used = sets_[set].last_used;
    if (way == kWays) way = static_cast<std::size_t>(std::min_element(last_used, last_used + kWays) - last_used);
    answers_[set * kWays + way] = Answer{std::string(word), std::string(answer)};
    sets_[set].hashes[way] = hash;
    last_used[way] = now();
}

// The word's place in the set, kWays if it is not there.
std::size_t KeptAnswers::way_of(std::size_t set, std::uint32_t hash, std::string_view word) const {
    const Set& ways = sets_[set];
    for (std::size_t way = 0; way < kWays; ++way) {
        const bool kept = ways.last_used[way] != 0 && ways.hashes[way] == hash;
        if (kept && answers_[set * kWays + way].word == word) return way;
    }
    return kWays;
}

// The number of a request, never 0. After 2^32 of them some answers seem older than they are, which does no harm.
std::uint32_t KeptAnswers::now() {
    if (++requests_ == 0) requests_ = 1;
    return requests_;
}

}  // namespace blazingtext
