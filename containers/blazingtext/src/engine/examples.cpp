#include "examples.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "parallel.h"
#include "subwords.h"

namespace blazingtext {
namespace {

constexpr std::string_view kEndOfLine = "</s>";
constexpr std::uint64_t kNgramFactor = 116049371;

std::int64_t lines_of(const Corpus& corpus) {
    std::int64_t lines = 0;
    for (std::size_t i = 0; i < corpus.size(); ++i) {
        lines += i + 1 == corpus.size() || (corpus.tokens()[i] & Tokens::kEndOfSentence) != 0;
    }
    return lines;
}

// What a classifier makes of a word of the text.
struct Meaning {
    std::uint32_t entry;  // of the dictionary, kNone for a word that is too rare
    std::int32_t hash;    // signed, as fastText keeps it
    bool label;
};

Meaning meaning_of(std::string_view text, const ClassDictionary& dictionary) {
    return {dictionary.find(text), static_cast<std::int32_t>(fnv1a(text)), dictionary.is_label(text)};
}

// Where each of `count` stretches of the tokens begins: behind the end of a line.
std::vector<std::size_t> cuts(const Corpus& corpus, int count) {
    const std::size_t size = corpus.size();
    std::vector<std::size_t> begins{0};
    for (int i = 1; i < count; ++i) {
        std::size_t at = std::max(size / static_cast<std::size_t>(count) * static_cast<std::size_t>(i), begins.back());
        while (at > 0 && at < size && (corpus.tokens()[at - 1] & Tokens::kEndOfSentence) == 0) ++at;
        begins.push_back(at);
    }
    begins.push_back(size);
    return begins;
}

// Encodes lines one after the other.
class Encoder {
public:
    Encoder(const ClassDictionary& dictionary, const NgramSettings& settings, Examples::Shard& shard)
        : words_(static_cast<std::uint32_t>(dictionary.words())),
          end_(meaning_of(kEndOfLine, dictionary)),
          settings_(settings),
          shard_(shard) {
        shard_.row_begins.push_back(0);
        shard_.label_begins.push_back(0);
    }

    void add(const Meaning& meaning) {
        if (meaning.label) {
            if (meaning.entry != ClassDictionary::kNone) shard_.labels.push_back(meaning.entry - words_);
            return;
        }
        if (meaning.entry != ClassDictionary::kNone) shard_.rows.push_back(meaning.entry);
        hashes_.push_back(meaning.hash);
    }

    // take(bucket) for each n-gram of words.
    template <typename Take>
    void end_line(Take take) {
        add(end_);
        for (std::size_t i = 0; i < hashes_.size() && settings_.buckets > 0; ++i) {
            auto hash = static_cast<std::uint64_t>(hashes_[i]);
            const std::size_t last = std::min(hashes_.size(), i + static_cast<std::size_t>(settings_.word_ngrams));
            for (std::size_t j = i + 1; j < last; ++j) {
                hash = hash * kNgramFactor + static_cast<std::uint64_t>(hashes_[j]);
                const auto bucket = static_cast<std::uint32_t>(hash % settings_.buckets);
                take(bucket);
                shard_.rows.push_back(words_ + bucket);
            }
        }
        hashes_.clear();
        if (shard_.rows.size() == shard_.row_begins.back() || shard_.labels.size() == shard_.label_begins.back()) {
            shard_.rows.resize(shard_.row_begins.back());
            shard_.labels.resize(shard_.label_begins.back());
            return;
        }
        shard_.row_begins.push_back(shard_.rows.size());
        shard_.label_begins.push_back(shard_.labels.size());
    }

private:
    std::uint32_t words_;
    Meaning end_;
    NgramSettings settings_;
    Examples::Shard& shard_;
    std::vector<std::int32_t> hashes_;
};

}  // namespace

ClassDictionary::ClassDictionary(const Corpus& corpus, std::int64_t min_count, std::string_view label_prefix,
                                 const std::vector<std::string_view>& kept)
    : label_prefix_(label_prefix) {
    const Vocabulary& all = corpus.vocabulary();
    const std::int64_t lines = lines_of(corpus);
    tokens_ = static_cast<std::int64_t>(corpus.size()) + lines;
    std::vector<bool> keep(all.size());
    if (!kept.empty()) {
        std::unordered_map<std::string_view, std::size_t> ids;
        for (std::size_t id = 0; id < all.size(); ++id) ids.emplace(all.word(id), id);
        for (const std::string_view word : kept) {
            if (const auto found = ids.find(word); found != ids.end()) keep[found->second] = true;
        }
    }
    bool ended = lines < std::max<std::int64_t>(min_count, 1);
    for (std::size_t id = 0; id < all.size(); ++id) {
        const std::string_view text = all.word(id);
        const std::int64_t count = all.counts()[id];
        if (is_label(text) || text == kEndOfLine || (count < min_count && !keep[id])) continue;
        if (!ended && count < lines) {
            add(kEndOfLine, lines);
            ended = true;
        }
        add(text, count);
    }
    if (!ended) add(kEndOfLine, lines);
    words_ = texts_.size();
    for (std::size_t id = 0; id < all.size(); ++id) {
        if (is_label(all.word(id)) && all.counts()[id] > 0) add(all.word(id), all.counts()[id]);
    }
}

void ClassDictionary::add(std::string_view text, std::int64_t count) {
    entries_.emplace(text, static_cast<std::uint32_t>(texts_.size()));
    texts_.emplace_back(text);
    counts_.push_back(count);
}

std::uint32_t ClassDictionary::find(std::string_view text) const {
    const auto found = entries_.find(std::string(text));
    return found == entries_.end() ? kNone : found->second;
}

void UsedBuckets::mark(std::uint32_t bucket) {
    std::uint64_t& bits = bits_[bucket / 64];
    const std::uint64_t bit = std::uint64_t{1} << (bucket % 64);
    if ((__atomic_load_n(&bits, __ATOMIC_RELAXED) & bit) == 0) __atomic_fetch_or(&bits, bit, __ATOMIC_RELAXED);
}

void UsedBuckets::number() {
    size_ = 0;
    for (std::size_t i = 0; i < bits_.size(); ++i) {
        before_[i] = static_cast<std::uint32_t>(size_);
        size_ += static_cast<std::size_t>(__builtin_popcountll(bits_[i]));
    }
}

std::vector<std::uint32_t> UsedBuckets::buckets() const {
    std::vector<std::uint32_t> found;
    found.reserve(size_);
    for (std::size_t i = 0; i < bits_.size(); ++i) {
        for (std::uint64_t bits = bits_[i]; bits != 0; bits &= bits - 1) {
            found.push_back(static_cast<std::uint32_t>(i * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
        }
    }
    return found;
}

Examples::Examples(const Corpus& corpus, const ClassDictionary& dictionary, const NgramSettings& settings, int threads)
    : settings_(settings), words_(dictionary.words()), buckets_(settings.buckets) {
    if (words_ + settings.buckets >= UINT32_MAX) throw std::invalid_argument("words and buckets must be below 2^32.");
    encode(corpus, dictionary, threads, true);
    buckets_.number();
    number_rows(threads);
}

Examples::Examples(const Corpus& corpus, const ClassDictionary& dictionary, const Examples& trained, int threads)
    : settings_(trained.settings_), words_(trained.words_), buckets_(trained.buckets_) {
    encode(corpus, dictionary, threads, false);
    number_rows(threads);
}

Examples::Examples(const Examples& all, const std::vector<std::uint32_t>& kept)
    : settings_(all.settings_),
      words_(static_cast<std::size_t>(
          std::lower_bound(kept.begin(), kept.end(), static_cast<std::uint32_t>(all.words_)) - kept.begin())),
      buckets_(all.settings_.buckets) {
    const std::vector<std::uint32_t> used = all.buckets_.buckets();
    std::vector<std::uint32_t> row_of(all.matrix_rows(), ClassDictionary::kNone);
    for (std::size_t row = 0; row < kept.size(); ++row) {
        if (kept[row] + 1 >= row_of.size()) throw std::invalid_argument("there is no row of that number.");
        row_of[kept[row]] = static_cast<std::uint32_t>(row);
        if (row >= words_) buckets_.mark(used[kept[row] - all.words_]);
    }
    buckets_.number();
    const auto zeros = static_cast<std::uint32_t>(matrix_rows() - 1);
    for (const Shard& from : all.shards_) {
        Shard& to = shards_.emplace_back();
        to.row_begins.push_back(0);
        to.label_begins.push_back(0);
        for (std::size_t i = 0; i < from.size(); ++i) {
            for (std::uint64_t r = from.row_begins[i]; r < from.row_begins[i + 1]; ++r) {
                if (row_of[from.rows[r]] != ClassDictionary::kNone) to.rows.push_back(row_of[from.rows[r]]);
            }
            if (to.rows.size() == to.row_begins.back()) continue;
            to.labels.insert(to.labels.end(), from.labels.begin() + static_cast<std::ptrdiff_t>(from.label_begins[i]),
                             from.labels.begin() + static_cast<std::ptrdiff_t>(from.label_begins[i + 1]));
            to.row_begins.push_back(to.rows.size());
            to.label_begins.push_back(to.labels.size());
        }
        to.rows.resize(to.rows.size() + kAhead, zeros);
    }
}

void Examples::encode(const Corpus& corpus, const ClassDictionary& dictionary, int threads, bool marking) {
    const Vocabulary& vocabulary = corpus.vocabulary();
    std::vector<Meaning> meanings(vocabulary.size());
    for (std::size_t id = 0; id < meanings.size(); ++id) meanings[id] = meaning_of(vocabulary.word(id), dictionary);

    const std::vector<std::size_t> begins = cuts(corpus, threads);
    shards_.resize(static_cast<std::size_t>(threads));
    in_parallel(threads, [&](int thread) {
        const auto index = static_cast<std::size_t>(thread);
        Encoder encoder(dictionary, settings_, shards_[index]);
        const auto take = [&](std::uint32_t bucket) {
            if (marking) buckets_.mark(bucket);
        };
        bool open = false;
        for (std::size_t i = begins[index]; i < begins[index + 1]; ++i) {
            const std::uint32_t token = corpus.tokens()[i];
            encoder.add(meanings[token & ~Tokens::kEndOfSentence]);
            open = (token & Tokens::kEndOfSentence) == 0;
            if (!open) encoder.end_line(take);
        }
        if (open) encoder.end_line(take);
    });
}

// From the numbers of buckets to those of the buckets in use.
void Examples::number_rows(int threads) {
    const auto words = static_cast<std::uint32_t>(words_);
    const auto zeros = static_cast<std::uint32_t>(matrix_rows() - 1);
    in_parallel(threads, [&](int thread) {
        Shard& shard = shards_[static_cast<std::size_t>(thread)];
        for (std::uint32_t& row : shard.rows) {
            if (row < words) continue;
            row = buckets_.has(row - words) ? words + buckets_.number_of(row - words) : zeros;
        }
        shard.rows.resize(shard.rows.size() + kAhead, zeros);
    });
}

std::size_t Examples::size() const {
    return std::accumulate(shards_.begin(), shards_.end(), std::size_t{0},
                           [](std::size_t sum, const Shard& shard) { return sum + shard.size(); });
}

std::size_t Examples::rows() const {
    return std::accumulate(shards_.begin(), shards_.end(), std::size_t{0},
                           [](std::size_t sum, const Shard& shard) { return sum + shard.row_begins.back(); });
}

}  // namespace blazingtext
