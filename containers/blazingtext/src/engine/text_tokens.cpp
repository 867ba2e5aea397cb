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

// All eight steps, of which those beyond the length are not taken: without a branch that depends on it.
std::uint32_t hash_of_short(std::uint64_t key, std::size_t length) {
    std::uint32_t hash = kFnvBasis;
    for (std::size_t i = 0; i < TextToken::kShort; ++i) {
        const std::uint32_t next = fnv1a_step(hash, static_cast<char>(key >> 8 * i));
        hash = i < length ? next : hash;
    }
    return hash;
}

TextToken token_of(std::string_view text, std::uint64_t key) {
    return TextToken{text, text.size() <= TextToken::kShort ? hash_of_short(key, text.size()) : fnv1a(text), key};
}

const TextToken& end_token() {
    static const TextToken token = token_of(kEndToken, TextToken::key_of("</s>\0\0\0", kEndToken.size()));
    return token;
}

// The lowest bit's place; the bit is taken away.
std::size_t taken(std::uint64_t& bits) {
    const auto place = static_cast<std::size_t>(__builtin_ctzll(bits));
    bits &= bits - 1;
    return place;
}

}  // namespace

void TextTokens::split(std::string_view text) {
    count_ = 0;
    const TextToken& last = end_token();
    std::size_t begin = 0;
    bool inside = false;  // a token that begins at `begin` and goes on
    for (std::size_t block = 0; block < text.size(); block += kBlock) {
        char rest[kBlock] = {};
        const bool whole = text.size() - block >= kBlock;
        if (!whole) std::memcpy(rest, text.data() + block, text.size() - block);
        const std::uint64_t words = ~separators(whole ? text.data() + block : rest);
        const std::uint64_t before = words << 1 | std::uint64_t{inside};
        std::uint64_t starts = words & ~before;
        std::uint64_t ends = ~words & before;
        if (tokens_.size() < count_ + kBlock) tokens_.resize(2 * (count_ + kBlock));
        while (true) {
            if (!inside) {
                if (starts == 0) break;
                begin = block + taken(starts);
                inside = true;
            }
            if (ends == 0) break;
            add(text, begin, block + taken(ends));
            inside = false;
            const TextToken& added = tokens_[count_ - 1];
            if (added.hash == last.hash && added.text == last.text) return;
        }
    }
    if (tokens_.size() < count_ + 2) tokens_.resize(count_ + 2);
    if (inside) {
        add(text, begin, text.size());
        if (tokens_[count_ - 1].text == last.text) return;
    }
    tokens_[count_++] = last;
}

void TextTokens::add(std::string_view text, std::size_t begin, std::size_t end) {
    TextToken& token = tokens_[count_++];
    const std::size_t length = end - begin;
    const char* const at = text.data() + begin;
    token.text = std::string_view(at, length);
    char eight[TextToken::kShort] = {};
    const bool whole = text.size() - begin >= TextToken::kShort;
    if (!whole) std::memcpy(eight, at, text.size() - begin);
    token.key = TextToken::key_of(whole ? at : eight, std::min(length, TextToken::kShort));
    token.hash = length <= TextToken::kShort ? hash_of_short(token.key, length) : fnv1a(token.text);
}

}  // namespace blazingtext
