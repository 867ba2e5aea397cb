// Labelled lines of text as a classifier trains on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "corpus.h"

namespace blazingtext {

// The words and labels of a classifier, numbered as in fastText's dictionary: the words that occur often enough, "</s>"
// among them, which ends every line; then the labels, all of them. Both most frequent first.
class ClassDictionary {
public:
    static constexpr std::uint32_t kNone = UINT32_MAX;

    // corpus: with every word of the text. `kept` words are taken however rare.
    ClassDictionary(const Corpus& corpus, std::int64_t min_count, std::string_view label_prefix,
                    const std::vector<std::string_view>& kept);

    std::size_t size() const { return texts_.size(); }
    std::size_t words() const { return words_; }
    std::size_t labels() const { return texts_.size() - words_; }
    const std::string& text(std::size_t entry) const { return texts_[entry]; }
    const std::vector<std::int64_t>& counts() const { return counts_; }
    const std::string& label_prefix() const { return label_prefix_; }

    // Tokens of the corpus and one for the end of each line.
    std::int64_t tokens() const { return tokens_; }

    bool is_label(std::string_view text) const {
        return text.substr(0, label_prefix_.size()) == label_prefix_;
    }
    std::uint32_t find(std::string_view text) const;

private:
    void add(std::string_view text, std::int64_t count);

    std::string label_prefix_;
    std::vector<std::string> texts_;
    std::vector<std::int64_t> counts_;
    std::size_t words_ = 0;
    std::int64_t tokens_ = 0;
    std::unordered_map<std::string, std::uint32_t> entries_;
};

// Which hash buckets the n-grams of words fall into, and a number for each of these: where few of millions of buckets
// are met, only those take memory.
class UsedBuckets {
public:
    explicit UsedBuckets(std::uint32_t buckets) : bits_((buckets + 63) / 64), before_(bits_.size()) {}

    // Any thread may mark any bucket; then number() is to be called.
    void mark(std::uint32_t bucket);
    void number();

    std::size_t size() const { return size_; }
    bool has(std::uint32_t bucket) const { return (bits_[bucket / 64] >> (bucket % 64) & 1) != 0; }
    // How many buckets in use are below this one.
    std::uint32_t number_of(std::uint32_t bucket) const {
        const std::uint64_t below = bits_[bucket / 64] & ((std::uint64_t{1} << (bucket % 64)) - 1);
        return before_[bucket / 64] + static_cast<std::uint32_t>(__builtin_popcountll(below));
    }
    // The buckets in use, ascending.
    std::vector<std::uint32_t> buckets() const;

private:
    std::vector<std::uint64_t> bits_;
    std::vector<std::uint32_t> before_;
    std::size_t size_ = 0;
};

struct NgramSettings {
    int word_ngrams;
    std::uint32_t buckets;  // 0 where word_ngrams is 1
};

// Lines as rows of the input matrix: the words', then one for each n-gram of 2 to word_ngrams words, hashed as fastText
// hashes them (unknown words too), behind the words' rows; and one row of zeros for the buckets that training never met.
// Lines without a label or without anything known are left out.
class Examples {
public:
    // Of the text to train on: finds out which buckets are used.
    Examples(const Corpus& corpus, const ClassDictionary& dictionary, const NgramSettings& settings, int threads);
    // Of another text, by what the first one knows.
    Examples(const Corpus& corpus, const ClassDictionary& dictionary, const Examples& trained, int threads);

    // The same, as a model sees them that has only these rows of the input matrix, ascending; those of words count on.
    Examples(const Examples& all, const std::vector<std::uint32_t>& kept);

    // What one thread encoded, a stretch of the text. Rows and labels of example i end where those of i + 1 begin.
    struct Shard {
        std::vector<std::uint32_t> rows;  // padded, so that reading a little ahead is safe
        std::vector<std::uint64_t> row_begins;
        std::vector<std::uint32_t> labels;  // from 0
        std::vector<std::uint64_t> label_begins;

        std::size_t size() const { return row_begins.size() - 1; }
    };
    static constexpr std::size_t kAhead = 8;

    const std::vector<Shard>& shards() const { return shards_; }
    std::size_t size() const;        // examples
    std::size_t rows() const;        // of all examples
    const NgramSettings& settings() const { return settings_; }
    const UsedBuckets& buckets() const { return buckets_; }
    std::size_t words() const { return words_; }
    // Of the input matrix, the row of zeros with them.
    std::size_t matrix_rows() const { return words_ + buckets_.size() + 1; }

private:
    void encode(const Corpus& corpus, const ClassDictionary& dictionary, int threads, bool marking);
    void number_rows(int threads);

    NgramSettings settings_;
    std::size_t words_;
    UsedBuckets buckets_;
    std::vector<Shard> shards_;
};

}  // namespace blazingtext
