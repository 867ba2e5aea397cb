// The tokens of a text that a model is asked about, each with its hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace blazingtext {

// A token, its fnv1a, and a key of its first eight bytes: short tokens are the same if their keys are, for there is no
// NUL in them.
struct TextToken {
    static constexpr std::size_t kShort = 8;

    std::string_view text;
    std::uint32_t hash;
    std::uint64_t key;

    bool is_short() const { return text.size() <= kShort; }

    // The first `length` bytes of eight, at most eight, the others zero.
    static std::uint64_t key_of(const char* eight, std::size_t length) {
        std::uint64_t key;
        std::memcpy(&key, eight, sizeof key);
        return length == 0 ? 0 : key & (UINT64_MAX >> 8 * (kShort - length));
    }
};

// Splits texts, one after the other, with memory that it uses again. A text's words are hashed side by side: where they
// end is found first, so that a processor need not wait for one hash, or guess a length, before it begins the next.
class TextTokens {
public:
    // All tokens up to the first "</s>", which stands at the end of every text.
    void split(std::string_view text);

    std::size_t size() const { return count_; }
    const TextToken* begin() const { return tokens_.data(); }
    const TextToken* end() const { return tokens_.data() + count_; }

private:
    void add(std::string_view text, std::size_t begin, std::size_t end);

    std::vector<TextToken> tokens_;
    std::size_t count_ = 0;
};

}  // namespace blazingtext
