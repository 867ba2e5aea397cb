// Words and their counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blazingtext {

// 64-bit FNV-1a, then a round of mixing, because the counter's table takes its low bits and its tag from the high ones.
class WordHash {
public:
    void add(char byte) { hash_ = (hash_ ^ static_cast<unsigned char>(byte)) * 0x100000001B3ULL; }

    std::uint64_t value() const {
        const std::uint64_t folded = (hash_ ^ (hash_ >> 32)) * 0x9E3779B97F4A7C15ULL;
        return folded ^ (folded >> 29);
    }

private:
    std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

// Counts distinct words. The words' text stays where it is (in a mapped file, say) and must outlive this object.
class WordCounter {
public:
    struct Entry {
        std::string_view text;
        std::uint64_t hash;
        std::int64_t count;
        std::uint64_t first;  // where it first appeared
    };

    WordCounter();

    // The number of the word, new or known; `count` more occurrences, of which the first is at `first`.
    std::uint32_t add(std::string_view text, std::uint64_t hash, std::int64_t count, std::uint64_t first);

    const std::vector<Entry>& entries() const { return entries_; }

private:
    struct Slot {
        std::uint32_t tag;     // upper half of the hash: spares most comparisons of texts
        std::uint32_t number;  // of the entry plus 1, 0 when empty
    };

    void grow();

    std::vector<Entry> entries_;
    std::vector<Slot> slots_;
};

// The words that occur often enough, most frequent first, ties by first appearance; their texts are held here.
class Vocabulary {
public:
    static constexpr std::uint32_t kUnknown = 0x7FFFFFFF;

    Vocabulary() = default;

    // Fills `ids` with the id of each of the counter's words, kUnknown for those below min_count.
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
