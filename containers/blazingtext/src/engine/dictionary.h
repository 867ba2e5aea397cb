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

    // The entry with this text, whose fnv1a is `hash`; the last one should there be several, as in fastText.
    std::uint32_t find(std::string_view text, std::uint32_t hash) const {
        for (std::size_t at = hash & mask_; slots_[at].entry != kNone; at = (at + 1) & mask_) {
            if (slots_[at].hash == hash && this->text(slots_[at].entry) == text) return slots_[at].entry;
        }
        return kNone;
    }

    std::uint32_t find(const TextToken& token) const {
        for (std::size_t at = token.hash & mask_; slots_[at].entry != kNone; at = (at + 1) & mask_) {
            if (slots_[at].hash == token.hash && is(slots_[at], token)) return slots_[at].entry;
        }
        return kNone;
    }

    // What `find` looks at may be far from the processor. Who has many texts to find brings it nearer step by step, all
    // texts' first step before their second one: the slot; if the text is long, where the entry that is probably meant
    // begins.
    void fetch_slot(const TextToken& token) const { __builtin_prefetch(&slots_[token.hash & mask_]); }
    void fetch_start(const TextToken& token) const {
        if (token.is_short()) return;
        const Slot& slot = slots_[token.hash & mask_];
        if (slot.entry != kNone) __builtin_prefetch(&starts_[slot.entry]);
    }

private:
    struct Slot {
        std::uint32_t hash;
        std::uint32_t entry;
        std::uint64_t key;  // of a short entry's text, which is in no other entry; 0 for a long one
    };

    bool is(const Slot& slot, const TextToken& token) const {
        return token.is_short() ? slot.key == token.key : text(slot.entry) == token.text;
    }

    const char* file_ = nullptr;
    std::vector<std::uint64_t> starts_;
    std::size_t words_ = 0;
    std::vector<Slot> slots_ = {Slot{0, kNone, 0}};
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
