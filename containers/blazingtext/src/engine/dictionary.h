// The words and labels of a model file, and the hash buckets that were kept of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text_tokens.h"

namespace blazingtext {

// Entries where they lie in the mapped file, words first and then labels, with a table by which to find them. It is
// plain memory without counts of references: processes forked off share it.
class Dictionary {
public:
    static constexpr std::uint32_t kNone = UINT32_MAX;
    // Behind an entry's text: a NUL, its count and its kind.
    static constexpr std::size_t kTailBytes = 1 + sizeof(std::int64_t) + 1;

    Dictionary() = default;
    // starts: where in the file each entry begins, and where the last one ends.
    Dictionary(const char* file, std::vector<std::uint64_t> starts, std::size_t words);

    std::size_t size() const { return starts_.empty() ? 0 : starts_.size() - 1; }
    std::size_t words() const { return words_; }
    std::size_t labels() const { return size() - words_; }

    std::string_view text(std::size_t entry) const {
        return std::string_view(file_ + starts_[entry], starts_[entry + 1] - starts_[entry] - kTailBytes);
    }
    std::int64_t count(std::size_t entry) const;

    // The entry with this text; the last one should there be several, as in fastText.
    std::uint32_t find(std::string_view text) const {
        // No entry holds a NUL, which would be taken for the end of the text.
        if (text.find('\0') != std::string_view::npos) return kNone;
        return find(TextToken::of(text));
    }

    // The same for a token, which holds no NUL.
    std::uint32_t find(const TextToken& token) const {
        const Slot& slot = slots_[slot_of(token)];
        return slot.entry == kNone ? kNone : slot.entry & ~kLong;
    }

    // What `find` looks at may be far from the processor. Who has many texts to find brings it nearer step by step, all
    // texts' first step before their second one: the slot; if the text is long, where the entry that is probably meant
    // begins.
    void fetch_slot(std::uint32_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }
    void fetch_start(std::uint32_t hash) const {
        const Slot& slot = slots_[hash & mask_];
        if (slot.entry != kNone) __builtin_prefetch(&starts_[slot.entry & ~kLong]);
    }

private:
    // Four to a cache line, and only texts that are longer than their keys are looked at besides.
    struct Slot {
        TokenKey key() const { return TokenKey{head, tail}; }

        std::uint64_t head;
        std::uint32_t tail;
        std::uint32_t entry;  // with kLong if it is
    };

    static constexpr std::uint32_t kLong = std::uint32_t{1} << 31;  // there are fewer entries

    // Where the token is, or would be.
    std::size_t slot_of(const TextToken& token) const {
        std::size_t at = token.hash & mask_;
        while (slots_[at].entry != kNone && !is(slots_[at], token)) at = (at + 1) & mask_;
        return at;
    }

    bool is(const Slot& slot, const TextToken& token) const {
        if (!(slot.key() == token.key) || ((slot.entry & kLong) != 0) != token.is_long()) return false;
        return !token.is_long() || text(slot.entry & ~kLong) == token.text;
    }

    const char* file_ = nullptr;
    std::vector<std::uint64_t> starts_;
    std::size_t words_ = 0;
    std::vector<Slot> slots_ = {Slot{0, 0, kNone}};
    std::size_t mask_ = 0;
};

// The hash buckets that have rows where others were pruned, each with its place behind the words' rows.
class KeptBuckets {
public:
    struct Bucket {
        std::uint32_t bucket;
        std::uint32_t place;
    };

    explicit KeptBuckets(std::size_t count);

    // Returns false when the bucket is there already.
    bool add(Bucket kept);

    // The place of a bucket, Dictionary::kNone when it was pruned.
    std::uint32_t find(std::uint32_t bucket) const { return slots_[slot_of(bucket)].place; }

    std::size_t size() const { return size_; }

    // Calls take(bucket) for each, in no order.
    template <typename Take>
    void each(Take take) const {
        for (const Bucket& slot : slots_) {
            if (slot.place != Dictionary::kNone) take(slot);
        }
    }

private:
    // Where the bucket is, or would be. Buckets are remainders of hashes: mixed, for they may be close together.
    std::size_t slot_of(std::uint32_t bucket) const {
        std::size_t at = (bucket * 0x9E3779B97F4A7C15ULL >> 32) & mask_;
        while (slots_[at].place != Dictionary::kNone && slots_[at].bucket != bucket) at = (at + 1) & mask_;
        return at;
    }

    std::vector<Bucket> slots_;
    std::size_t mask_;
    std::size_t size_ = 0;
};

}  // namespace blazingtext
