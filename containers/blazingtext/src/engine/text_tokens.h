// The tokens of a text that a model is asked about, each with its hash.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "kernel.h"

namespace blazingtext {

// The first bytes of a token, zeros behind a shorter one. There is no NUL in a token: short ones are the same if their
// keys are.
struct TokenKey {
    static constexpr std::size_t kBytes = kHashedBytes;

    std::uint64_t head;
    std::uint32_t tail;

    bool operator==(const TokenKey& other) const { return head == other.head && tail == other.tail; }

    // The key of what begins with this one and has `length` bytes.
    TokenKey cut(std::size_t length) const {
        const TokenKey& mask = kMasks[std::min(length, kBytes)];
        return TokenKey{head & mask.head, tail & mask.tail};
    }

    // Of kBytes bytes.
    static TokenKey of(const char* bytes) {
        TokenKey key;
        std::memcpy(&key.head, bytes, sizeof key.head);
        std::memcpy(&key.tail, bytes + sizeof key.head, sizeof key.tail);
        return key;
    }

private:
    // Looked up by length: to branch on it would be to guess.
    static const std::array<TokenKey, kBytes + 1> kMasks;
};

// A token, its fnv1a and its key.
struct TextToken {
    std::string_view text;
    std::uint32_t hash;
    TokenKey key;

    bool is_long() const { return text.size() > TokenKey::kBytes; }

    static TextToken of(std::string_view text);
};

// Splits texts, one after the other, with memory that it uses again. A text's words are hashed side by side: where they
// end is found first, so that a processor need not guess a length before it begins the next.
class TextTokens {
public:
    explicit TextTokens(const Kernel& kernel) : kernel_(kernel) {}

    // All tokens up to the first "</s>", which stands at the end of every text.
    void split(std::string_view text);

    std::size_t size() const { return count_; }
    std::string_view text(std::size_t index) const { return texts_[index]; }
    std::uint32_t hash(std::size_t index) const { return hashes_[index]; }
    TextToken operator[](std::size_t index) const {
        const std::uint64_t head = parts_[0][index] | std::uint64_t{parts_[1][index]} << 32;
        return TextToken{texts_[index], hashes_[index], TokenKey{head, parts_[2][index]}};
    }

    // The numbers of the tokens that are longer than their keys.
    const std::vector<std::size_t>& long_ones() const { return long_; }

private:
    bool add_all(std::string_view text);
    bool add(std::string_view text, std::size_t begin, std::size_t end);
    void make_room(std::size_t tokens);

    const Kernel& kernel_;
    // Of each token, and of what the kernel reads beyond the last one.
    std::vector<std::string_view> texts_;
    std::array<std::vector<std::uint32_t>, kHashedBytes / sizeof(std::uint32_t)> parts_;  // of the key
    std::vector<std::uint32_t> lengths_;                                                  // at most kHashedBytes
    std::vector<std::uint32_t> hashes_;
    std::vector<std::size_t> long_;
    std::size_t count_ = 0;
};

}  // namespace blazingtext
