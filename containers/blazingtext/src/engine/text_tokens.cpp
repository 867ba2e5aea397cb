#include "text_tokens.h"

#include <algorithm>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "subwords.h"
#include "tokeniser.h"

namespace blazingtext {
namespace {

// Bytes that are looked at together: a bit for each.
constexpr std::size_t kBlock = 64;

// Which bytes of a block are separators, the first byte's bit lowest.
#if defined(__SSE2__)
std::uint64_t separators(const char* block) {
    std::uint64_t found = 0;
    for (std::size_t at = 0; at < kBlock; at += sizeof(__m128i)) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + at));
        // 9 to 13 are tab, newline and the like.
        const __m128i above = _mm_sub_epi8(bytes, _mm_set1_epi8(9));
        const __m128i blank = _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8(4)), above);
        const __m128i space = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
        const __m128i nul = _mm_cmpeq_epi8(bytes, _mm_setzero_si128());
        const int mask = _mm_movemask_epi8(_mm_or_si128(blank, _mm_or_si128(space, nul)));
        found |= static_cast<std::uint64_t>(mask) << at;
    }
    return found;
}
#else
std::uint64_t separators(const char* block) {
    std::uint64_t found = 0;
    for (std::size_t at = 0; at < kBlock; ++at) found |= std::uint64_t{is_separator(block[at])} << at;
    return found;
}
#endif

const TokenKey kEndKey = TextToken::of(kEndToken).key;

// The lowest bit's place; the bit is taken away.
std::size_t taken(std::uint64_t& bits) {
    const auto place = static_cast<std::size_t>(__builtin_ctzll(bits));
    bits &= bits - 1;
    return place;
}

}  // namespace

const std::array<TokenKey, TokenKey::kBytes + 1> TokenKey::kMasks = [] {
    std::array<TokenKey, kBytes + 1> masks = {};
    for (std::size_t length = 1; length <= kBytes; ++length) {
        char bytes[kBytes] = {};
        std::fill_n(bytes, length, '\xFF');
        masks[length] = of(bytes);
    }
    return masks;
}();

TextToken TextToken::of(std::string_view text) {
    char bytes[TokenKey::kBytes] = {};
    std::copy_n(text.data(), std::min(text.size(), sizeof bytes), bytes);
    return TextToken{text, fnv1a(text), TokenKey::of(bytes)};
}

void TextTokens::split(std::string_view text) {
    count_ = 0;
    long_.clear();
    make_room(0);
    if (!add_all(text)) add(kEndToken, 0, kEndToken.size());
    kernel_.hash_words({parts_[0].data(), parts_[1].data(), parts_[2].data()}, lengths_.data(), count_, hashes_.data());
    for (const std::size_t index : long_) hashes_[index] = fnv1a(texts_[index]);
}

// Returns whether the last one ends the text.
bool TextTokens::add_all(std::string_view text) {
    std::size_t begin = 0;
    bool inside = false;  // a token that begins at `begin` and goes on
    for (std::size_t block = 0; block < text.size(); block += kBlock) {
        std::uint64_t words;
        if (text.size() - block >= kBlock) {
            words = ~separators(text.data() + block);
        } else {
            char rest[kBlock] = {};
            std::memcpy(rest, text.data() + block, text.size() - block);
            words = ~separators(rest);
        }
        const std::uint64_t before = words << 1 | std::uint64_t{inside};
        std::uint64_t starts = words & ~before;
        std::uint64_t ends = ~words & before;
        make_room(kBlock);
        if (inside && ends != 0) {
            inside = false;
            if (add(text, begin, block + taken(ends))) return true;
        }
        while (ends != 0) {
            const std::size_t start = block + taken(starts);
            if (add(text, start, block + taken(ends))) return true;
        }
        if (starts != 0) {
            begin = block + taken(starts);
            inside = true;
        }
    }
    return inside && add(text, begin, text.size());
}

// Returns whether it is the one that ends a text.
inline bool TextTokens::add(std::string_view text, std::size_t begin, std::size_t end) {
    const char* const at = text.data() + begin;
    const std::size_t length = end - begin;
    const bool readable = text.size() - begin >= TokenKey::kBytes;
    const TokenKey key = readable ? TokenKey::of(at).cut(length) : TextToken::of({at, length}).key;
    if (length > TokenKey::kBytes) long_.push_back(count_);
    texts_[count_] = std::string_view(at, length);
    parts_[0][count_] = static_cast<std::uint32_t>(key.head);
    parts_[1][count_] = static_cast<std::uint32_t>(key.head >> 32);
    parts_[2][count_] = key.tail;
    lengths_[count_] = static_cast<std::uint32_t>(std::min(length, TokenKey::kBytes));
    ++count_;
    return key == kEndKey;
}

// For so many tokens more, the last two that may follow, and what the kernel reads behind them.
void TextTokens::make_room(std::size_t tokens) {
    const std::size_t needed = count_ + tokens + 2 + kWordsAtOnce;
    if (texts_.size() >= needed) return;
    texts_.resize(2 * needed);
    for (auto& part : parts_) part.resize(2 * needed);
    lengths_.resize(2 * needed);
    hashes_.resize(2 * needed);
}

}  // namespace blazingtext
