#include "vocabulary.h"

#include <algorithm>
#include <stdexcept>

namespace blazingtext {

WordCounter::WordCounter() : slots_(1 << 12, Slot{0, 0}) {}

std::uint32_t WordCounter::add(std::string_view text, std::uint64_t hash, std::int64_t count, std::uint64_t first) {
    const std::size_t mask = slots_.size() - 1;
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t at = hash & mask;
    for (; slots_[at].number != 0; at = (at + 1) & mask) {
        if (slots_[at].tag != tag) continue;
        Entry& entry = entries_[slots_[at].number - 1];
        if (entry.text != text) continue;
        entry.count += count;
        entry.first = std::min(entry.first, first);
        return slots_[at].number - 1;
    }
    if (entries_.size() >= Vocabulary::kUnknown) throw std::length_error("the corpus has over 2147483647 words.");
    entries_.push_back(Entry{text, hash, count, first});
    const auto number = static_cast<std::uint32_t>(entries_.size());
    slots_[at] = Slot{tag, number};
    if (entries_.size() * 2 > slots_.size()) grow();
    return number - 1;
}

void WordCounter::grow() {
    std::vector<Slot> larger(slots_.size() * 4, Slot{0, 0});
    const std::size_t mask = larger.size() - 1;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        std::size_t at = entries_[i].hash & mask;
        while (larger[at].number != 0) at = (at + 1) & mask;
        larger[at] = Slot{static_cast<std::uint32_t>(entries_[i].hash >> 32), static_cast<std::uint32_t>(i + 1)};
    }
    slots_.swap(larger);
}

Vocabulary::Vocabulary(const WordCounter& counter, std::int64_t min_count, std::vector<std::uint32_t>& ids) {
    const std::vector<WordCounter::Entry>& entries = counter.entries();
    std::vector<std::uint32_t> kept;
    std::size_t length = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].count < min_count) continue;
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
