#include "dictionary.h"

#include <cstring>
#include <utility>

namespace blazingtext {
namespace {

// A power of two, so that a table of `count` is at most half full and never quite.
std::size_t slots_for(std::size_t count) {
    std::size_t slots = 2;
    while (slots < 2 * count) slots *= 2;
    return slots;
}

}  // namespace

Dictionary::Dictionary(const char* file, std::vector<std::uint64_t> starts, std::size_t words)
    : file_(file), starts_(std::move(starts)), words_(words), slots_(slots_for(size()), Slot{0, 0, kNone}),
      mask_(slots_.size() - 1) {
    for (std::uint32_t entry = 0; entry < size(); ++entry) {
        const TextToken token = TextToken::of(text(entry));
        slots_[slot_of(token)] = Slot{token.key.head, token.key.tail, token.is_long() ? entry | kLong : entry};
    }
}

std::int64_t Dictionary::count(std::size_t entry) const {
    std::int64_t count;
    std::memcpy(&count, file_ + starts_[entry + 1] - kTailBytes + 1, sizeof count);
    return count;
}

KeptBuckets::KeptBuckets(std::size_t count)
    : slots_(slots_for(count), Bucket{0, Dictionary::kNone}), mask_(slots_.size() - 1) {}

bool KeptBuckets::add(Bucket kept) {
    Bucket& slot = slots_[slot_of(kept.bucket)];
    if (slot.place != Dictionary::kNone) return false;
    slot = kept;
    ++size_;
    return true;
}

}  // namespace blazingtext
