#include "vocabulary.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace blazingtext {

std::uint64_t word_hash(std::string_view word) {
    std::uint64_t hash = 0;
    for (std::size_t at = 0; at < word.size(); at += kRoundBytes) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, word.data() + at, std::min(kRoundBytes, word.size() - at));
        hash = hash_round(hash, bytes);
    }
    return hash;
}

WordCounter::WordCounter() : slots_(1 << 12, Slot{0, 0, 0}) {}

std::uint32_t WordCounter::insert(const Entry& entry) {
    if (entries_.size() >= Vocabulary::kUnknown) throw std::length_error("the corpus has over 2147483647 words.");
    entries_.push_back(entry);
    if (entries_.size() * 2 > slots_.size()) {
        std::vector<Slot> smaller(slots_.size() * 2, Slot{0, 0, 0});
        smaller.swap(slots_);
        for (const Slot& slot : smaller) {
            if (slot.number != 0) place(slot);
        }
    }
    const auto number = static_cast<std::uint32_t>(entries_.size());
    place(Slot{entry.hash, number, entry.text.size() <= kRoundBytes});
    return number - 1;
}

void WordCounter::place(const Slot& slot) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = slot.hash & mask;
    while (slots_[at].number != 0) at = (at + 1) & mask;
    slots_[at] = slot;
}

Vocabulary::Vocabulary(const WordCounter& counter, std::int64_t min_count, std::vector<std::uint32_t>& ids) {
    const std::vector<WordCounter::Entry>& entries = counter.entries();
    std::vector<std::uint32_t> kept;
    std::size_t length = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].count < min_count && !entries[i].kept) continue;
        kept.push_back(static_cast<std::uint32_t>(i));
        length += entries[i].text.size();
    }
    std::sort(kept.begin(), kept.end(), [&](std::uint32_t a, std::uint32_t b) {
        return entries[a].count != entries[b].count ? entries[a].count > entries[b].count
                                                    : entries[a].first < entries[b].first;
    });

    ids.assign(entries.size(), kUnknown);
    text_.reserve(length);
    starts_.reserve(kept.size() + 1);
    counts_.reserve(kept.size());
    for (std::size_t id = 0; id < kept.size(); ++id) {
        const WordCounter::Entry& entry = entries[kept[id]];
        ids[kept[id]] = static_cast<std::uint32_t>(id);
        starts_.push_back(text_.size());
        text_.append(entry.text);
        counts_.push_back(entry.count);
    }
    starts_.push_back(text_.size());
}

}  // namespace blazingtext
