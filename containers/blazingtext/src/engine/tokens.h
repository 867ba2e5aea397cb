// The words of a corpus, one number each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "pages.h"
#include "vocabulary.h"

namespace blazingtext {

// A token is a word's id, or kUnknown; the last token of a sentence has kEndOfSentence set. In memory it takes three
// bytes where 23 bits hold every id, and four otherwise.
class Tokens {
public:
    static constexpr std::uint32_t kEndOfSentence = 0x80000000;
    static constexpr std::uint32_t kUnknown = Vocabulary::kUnknown;

    Tokens() = default;

    // Room for `size` tokens, all ids below `ids`. Throws std::bad_alloc.
    Tokens(std::size_t size, std::size_t ids)
        : size_(size), width_(ids <= kNarrowUnknown ? 3 : 4), pages_(std::make_unique<Pages>(size * width_)) {}

    std::size_t bytes() const { return size_ * width_; }

    std::uint32_t operator[](std::size_t index) const {
        const auto* const at = reinterpret_cast<const unsigned char*>(pages_->data()) + index * width_;
        if (width_ == sizeof(std::uint32_t)) {
            std::uint32_t token;
            std::memcpy(&token, at, sizeof token);
            return token;
        }
        const auto bits = static_cast<std::uint32_t>(at[0] | at[1] << 8 | at[2] << 16);
        const std::uint32_t id = bits & kNarrowUnknown;
        return (id == kNarrowUnknown ? kUnknown : id) | (bits & ~kNarrowUnknown) << 8;
    }

    // Threads may set different tokens at the same time.
    void set(std::size_t index, std::uint32_t token) {
        char* const at = pages_->data() + index * width_;
        if (width_ == sizeof token) {
            std::memcpy(at, &token, sizeof token);
            return;
        }
        const std::uint32_t bits = (token & kNarrowUnknown) | (token & kEndOfSentence) >> 8;
        for (int i = 0; i < 3; ++i) at[i] = static_cast<char>(bits >> 8 * i);
    }

    // All of them with four bytes each, and gives their memory back on the way.
    std::unique_ptr<std::uint32_t[]> take() {
        std::unique_ptr<std::uint32_t[]> taken(new std::uint32_t[size_]);
        // A whole number of pages, whatever the width and their size.
        constexpr std::size_t kAtOnce = 1 << 20;
        for (std::size_t begin = 0; begin < size_; begin += kAtOnce) {
            const std::size_t end = std::min(begin + kAtOnce, size_);
            for (std::size_t i = begin; i < end; ++i) taken[i] = (*this)[i];
            pages_->release(begin * width_, (end - begin) * width_);
        }
        pages_.reset();
        return taken;
    }

private:
    static constexpr std::uint32_t kNarrowUnknown = 0x7FFFFF;

    std::size_t size_ = 0;
    std::size_t width_ = 3;
    std::unique_ptr<Pages> pages_;
};

}  // namespace blazingtext
