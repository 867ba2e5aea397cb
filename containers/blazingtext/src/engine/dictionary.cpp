#include "dictionary.h"

#include <cstring>
#include <utility>

#include "subwords.h"

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
    : file_(file), starts_(std::move(starts)), words_(words), slots_(slots_for(size()), Slot{0, kNone, 0}),
      mask_(slots_.size() - 1) {
    for (std::uint32_t entry = 0; entry < size(); ++entry) {
        const std::string_view text = this->text(entry);
        const std::uint32_t hash = fnv1a(text);
        std::size_t at = hash & mask_;
        while (slots_[at].entry != kNone && !(slots_[at].hash == hash && this->text(slots_[at].entry) == text)) {
            at = (at + 1) & mask_;
        }
        // An entry's eight bytes can always be read: its tail is longer.
        const bool is_short = text.size() <= TextToken::kShort;
        slots_[at] = Slot{hash, entry, is_short ? TextToken::key_of(text.data(), text.size()) : 0};
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
