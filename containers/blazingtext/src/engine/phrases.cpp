#include "phrases.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

#include "corpus.h"
#include "new_file.h"
#include "parallel.h"

namespace blazingtext {
namespace {

constexpr std::uint32_t kEnd = Tokens::kEndOfSentence;
constexpr std::size_t kBufferBytes = 1 << 20;
// Pairs that are counted at a time, which bounds the memory of the counts: 12 bytes each, at most half of it filled.
// A corpus with more is gone through several times.
constexpr std::size_t kPairsAtOnce = 1 << 25;

std::uint64_t pair_of(std::uint32_t a, std::uint32_t b) { return static_cast<std::uint64_t>(a) << 32 | b; }

std::uint64_t hash_of(std::uint64_t pair) {
    pair ^= pair >> 31;
    pair *= 0x9E3779B97F4A7C15ULL;
    return pair ^ pair >> 32;
}

// Counts by pair, in open addressing; a slot without a count is free.
class PairCounts {
public:
    PairCounts() : pairs_(1 << 12), counts_(1 << 12) {}

    void add(std::uint64_t pair, std::uint64_t hash) {
        const std::size_t at = slot(pair, hash);
        if (counts_[at]++ == 0) {
            pairs_[at] = pair;
            if (++size_ * 2 > pairs_.size()) grow();
        }
    }

    template <typename Use>
    void each(Use use) const {
        for (std::size_t at = 0; at < pairs_.size(); ++at) {
            if (counts_[at] != 0) use(pairs_[at], static_cast<std::int64_t>(counts_[at]));
        }
    }

private:
    std::size_t slot(std::uint64_t pair, std::uint64_t hash) const {
        const std::size_t mask = pairs_.size() - 1;
        std::size_t at = hash & mask;
        while (counts_[at] != 0 && pairs_[at] != pair) at = (at + 1) & mask;
        return at;
    }

    void grow() {
        PairCounts larger(pairs_.size() * 2);
        for (std::size_t at = 0; at < pairs_.size(); ++at) {
            if (counts_[at] == 0) continue;
            const std::size_t to = larger.slot(pairs_[at], hash_of(pairs_[at]));
            larger.pairs_[to] = pairs_[at];
            larger.counts_[to] = counts_[at];
        }
        pairs_.swap(larger.pairs_);
        counts_.swap(larger.counts_);
    }

    explicit PairCounts(std::size_t slots) : pairs_(slots), counts_(slots) {}

    std::vector<std::uint64_t> pairs_;
    std::vector<std::uint32_t> counts_;
    std::size_t size_ = 0;
};

// The corpus as it is joined, pass by pass.
class Joining {
public:
    Joining(Corpus&& corpus, const PhraseSettings& settings)
        : settings_(settings),
          vocabulary_(corpus.vocabulary()),
          counts_(vocabulary_.counts()),
          tokens_(corpus.take_tokens()),
          size_(corpus.size()) {}

    // Returns how many kinds of pairs were joined.
    std::size_t pass() {
        const std::vector<std::uint64_t> pairs = find_pairs();
        const std::unordered_map<std::uint64_t, std::uint32_t> phrases = name(pairs);
        join(phrases);
        return pairs.size();
    }

    std::size_t size() const { return size_; }
    void write(const std::string& path) const;

private:
    std::string_view text(std::uint32_t id) const {
        return id < vocabulary_.size() ? vocabulary_.word(id) : std::string_view(joined_[id - vocabulary_.size()]);
    }

    bool scores(std::int64_t together, std::uint32_t a, std::uint32_t b) const {
        return static_cast<double>(together - settings_.min_count) * static_cast<double>(size_) >
               settings_.threshold * static_cast<double>(counts_[a]) * static_cast<double>(counts_[b]);
    }

    // Calls use(a, b) for every two neighbours that can reach the threshold: a pair occurs at most as often as its rarer
    // word, so that most pairs with frequent words need no counting.
    template <typename Use>
    void each_candidate(std::size_t begin, std::size_t end, Use use) const {
        for (std::size_t i = begin; i < std::min(end, size_ - 1); ++i) {
            if ((tokens_[i] & kEnd) != 0) continue;
            const std::uint32_t a = tokens_[i];
            const std::uint32_t b = tokens_[i + 1] & ~kEnd;
            if (scores(std::min(counts_[a], counts_[b]), a, b)) use(a, b);
        }
    }

    std::vector<std::uint64_t> find_pairs() const;
    std::unordered_map<std::uint64_t, std::uint32_t> name(const std::vector<std::uint64_t>& pairs);
    void join(const std::unordered_map<std::uint64_t, std::uint32_t>& phrases);

    const PhraseSettings& settings_;
    Vocabulary vocabulary_;
    std::deque<std::string> joined_;  // texts of the words behind the vocabulary's
    std::vector<std::int64_t> counts_;
    std::unique_ptr<std::uint32_t[]> tokens_;
    std::size_t size_;
};

// The pairs above the threshold. Each thread goes through the whole corpus but counts only the pairs of its share of
// the hashes: no pair is counted in two tables, and none needs a lock.
std::vector<std::uint64_t> Joining::find_pairs() const {
    std::vector<std::uint64_t> found;
    if (size_ < 2) return found;
    const auto threads = static_cast<std::size_t>(settings_.threads);
    std::atomic<std::size_t> candidates{0};
    in_parallel(settings_.threads, [&](int thread) {
        const auto part = static_cast<std::size_t>(thread);
        std::size_t seen = 0;
        each_candidate(size_ * part / threads, size_ * (part + 1) / threads, [&](auto, auto) { ++seen; });
        candidates += seen;
    });
    const std::size_t rounds = candidates / kPairsAtOnce + 1;
    std::vector<std::vector<std::uint64_t>> by_thread(threads);
    for (std::size_t round = 0; round < rounds; ++round) {
        in_parallel(settings_.threads, [&](int thread) {
            const auto part = static_cast<std::size_t>(thread);
            PairCounts counts;
            each_candidate(0, size_, [&](std::uint32_t a, std::uint32_t b) {
                const std::uint64_t hash = hash_of(pair_of(a, b));
                if ((hash >> 40) % (rounds * threads) == round * threads + part) counts.add(pair_of(a, b), hash);
            });
            counts.each([&](std::uint64_t pair, std::int64_t together) {
                const auto a = static_cast<std::uint32_t>(pair >> 32);
                if (scores(together, a, static_cast<std::uint32_t>(pair))) by_thread[part].push_back(pair);
            });
        });
    }
    for (const std::vector<std::uint64_t>& pairs : by_thread) found.insert(found.end(), pairs.begin(), pairs.end());
    return found;
}

// The ids of the pairs as words of their own. A phrase that occurs as a word already is that word, and so are phrases
// that read alike, such as (a_b, c) and (a, b_c).
std::unordered_map<std::uint64_t, std::uint32_t> Joining::name(const std::vector<std::uint64_t>& pairs) {
    std::unordered_map<std::string, std::uint32_t> ids;
    for (const std::uint64_t pair : pairs) {
        std::string joined(text(static_cast<std::uint32_t>(pair >> 32)));
        ids.emplace(joined.append(settings_.delimiter).append(text(static_cast<std::uint32_t>(pair))), kEnd);
    }
    for (std::uint32_t id = 0; id < counts_.size() && !ids.empty(); ++id) {
        const auto known = ids.find(std::string(text(id)));
        if (known != ids.end()) known->second = id;
    }
    std::unordered_map<std::uint64_t, std::uint32_t> phrases;
    for (const std::uint64_t pair : pairs) {
        std::string joined(text(static_cast<std::uint32_t>(pair >> 32)));
        joined.append(settings_.delimiter).append(text(static_cast<std::uint32_t>(pair)));
        std::uint32_t& id = ids.at(joined);
        if (id == kEnd) {
            if (counts_.size() >= Tokens::kUnknown) throw std::length_error("the corpus has over 2147483647 words.");
            id = static_cast<std::uint32_t>(counts_.size());
            joined_.push_back(std::move(joined));
            counts_.push_back(0);
        }
        phrases.emplace(pair, id);
    }
    return phrases;
}

void Joining::join(const std::unordered_map<std::uint64_t, std::uint32_t>& phrases) {
    std::vector<bool> begins(counts_.size());
    for (const auto& phrase : phrases) begins[phrase.first >> 32] = true;
    std::size_t to = 0;
    for (std::size_t i = 0; i < size_; ++i, ++to) {
        const std::uint32_t token = tokens_[i];
        tokens_[to] = token;
        if ((token & kEnd) != 0 || i + 1 == size_ || !begins[token]) continue;
        const std::uint32_t next = tokens_[i + 1];
        const auto phrase = phrases.find(pair_of(token, next & ~kEnd));
        if (phrase == phrases.end()) continue;
        tokens_[to] = phrase->second | (next & kEnd);
        --counts_[token];
        --counts_[next & ~kEnd];
        ++counts_[phrase->second];
        ++i;
    }
    size_ = to;
}

void Joining::write(const std::string& path) const {
    NewFile file(path);
    std::size_t offset = 0;
    std::string buffer;
    for (std::size_t i = 0; i < size_; ++i) {
        buffer.append(text(tokens_[i] & ~kEnd));
        buffer.push_back((tokens_[i] & kEnd) != 0 ? '\n' : ' ');
        if (buffer.size() >= kBufferBytes) {
            file.write(buffer, offset);
            offset += buffer.size();
            buffer.clear();
        }
    }
    file.write(buffer, offset);
    file.finish();
}

}  // namespace

PhraseCounts join_phrases(const std::vector<std::string>& paths, const std::string& output,
                          const PhraseSettings& settings) {
    if (settings.passes < 1 || !(settings.threshold > 0) || settings.min_count < 0 || settings.threads < 1) {
        throw std::invalid_argument(
            "passes and threads must be at least 1, threshold above 0 and min_count not negative.");
    }
    Joining joining(Corpus(paths, 0, settings.threads), settings);
    PhraseCounts counts{joining.size(), 0, {}};
    for (int pass = 0; pass < settings.passes; ++pass) counts.kinds.push_back(joining.pass());
    joining.write(output);
    counts.tokens_written = joining.size();
    return counts;
}

}  // namespace blazingtext
