// Words and their counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blazingtext {

// A word's hash takes in eight bytes a round, the last ones filled up with NULs, which no word holds. A round is a
// permutation of the 64-bit numbers: words of one round have equal hashes only when they are equal.
constexpr std::size_t kRoundBytes = 8;

inline std::uint64_t hash_round(std::uint64_t hash, std::uint64_t bytes) {
    hash ^= bytes;
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29);
}

std::uint64_t word_hash(std::string_view word);

// Counts distinct words. The words' text stays where it is (in a mapped file, say) and must outlive this object.
class WordCounter {
public:
    struct Entry {
        std::string_view text;
        std::uint64_t hash;
        std::int64_t count;
        std::uint64_t first;  // where it first appeared
        bool kept;            // in the vocabulary however rare
    };

    WordCounter();

    // The number of the word, new or known; `count` more occurrences, of which the first is at `first`.
    std::uint32_t add(std::string_view text, std::uint64_t hash, std::int64_t count, std::uint64_t first) {
        const std::uint32_t number = number_of(text, hash, first);
        Entry& entry = entries_[number];
        entry.count += count;
        entry.first = std::min(entry.first, first);
        return number;
    }

    // The same for one occurrence behind all earlier ones.
    std::uint32_t add_next(std::string_view text, std::uint64_t hash, std::uint64_t at) {
        const std::uint32_t number = number_of(text, hash, at);
        ++entries_[number].count;
        return number;
    }

    // Brings what `add` will look at first to the cache.
    void prefetch(std::uint64_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }

    // Keeps a word, new or known, in the vocabulary; a new one has not occurred and stands at `first`.
    void keep(std::string_view text, std::uint64_t hash, std::uint64_t first) {
        entries_[add(text, hash, 0, first)].kept = true;
    }

    const std::vector<Entry>& entries() const { return entries_; }

private:
    struct Slot {
        std::uint64_t hash;
        std::uint32_t number;     // of the entry plus 1, 0 when empty
        std::uint32_t one_round;  // whether the hash tells all about the word
    };

    std::uint32_t number_of(std::string_view text, std::uint64_t hash, std::uint64_t first) {
        const std::size_t mask = slots_.size() - 1;
        const bool one_round = text.size() <= kRoundBytes;
        for (std::size_t at = hash & mask; slots_[at].number != 0; at = (at + 1) & mask) {
            const Slot& slot = slots_[at];
            if (slot.hash != hash || (slot.one_round != 0) != one_round) continue;
            if (one_round || entries_[slot.number - 1].text == text) return slot.number - 1;
        }
        return insert(Entry{text, hash, 0, first, false});
    }

    std::uint32_t insert(const Entry& entry);
    void place(const Slot& slot);

    std::vector<Entry> entries_;
    std::vector<Slot> slots_;
};

// The words that occur often enough or are to be kept, most frequent first, ties by first appearance; their texts are
// held here.
class Vocabulary {
public:
    static constexpr std::uint32_t kUnknown = 0x7FFFFFFF;

    Vocabulary() = default;

    // Fills `ids` with the id of each of the counter's words, kUnknown for those left out.
    Vocabulary(const WordCounter& counter, std::int64_t min_count, std::vector<std::uint32_t>& ids);

    std::size_t size() const { return counts_.size(); }
    std::string_view word(std::size_t id) const {
        return std::string_view(text_).substr(starts_[id], starts_[id + 1] - starts_[id]);
    }
    const std::vector<std::int64_t>& counts() const { return counts_; }

private:
    std::string text_;
    std::vector<std::size_t> starts_;
    std::vector<std::int64_t> counts_;
};

}  // namespace blazingtext
