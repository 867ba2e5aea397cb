#include "tokeniser.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "corpus.h"

namespace blazingtext {
namespace {

// The bytes from `at` on in the order of memory, the first one lowest; NULs after the end of the file.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
inline std::uint64_t eight_bytes(const MappedFile& file, std::size_t at) {
    std::uint64_t bytes = 0;
    if (file.size() - at >= sizeof bytes) {
        std::memcpy(&bytes, file.data() + at, sizeof bytes);
    } else {
        std::memcpy(&bytes, file.data() + at, file.size() - at);
    }
    return bytes;
}

constexpr std::uint64_t in_each_byte(std::uint64_t byte) { return byte * 0x0101010101010101ULL; }

// The highest bit of each byte that is a separator. Sums of seven-bit numbers stay within their bytes.
inline std::uint64_t separators_of(std::uint64_t bytes) {
    const std::uint64_t low = bytes & in_each_byte(0x7F);
    const std::uint64_t from_tab_on = low + in_each_byte(0x80 - '\t');
    const std::uint64_t after_return = low + in_each_byte(0x80 - ('\r' + 1));
    const std::uint64_t not_space_nor_nul = (low & in_each_byte(0x7F & ~' ')) + in_each_byte(0x7F);
    return ((from_tab_on & ~after_return) | ~not_space_nor_nul) & ~bytes & in_each_byte(0x80);
}

// Words that were found and are not yet counted: their slots in the counter's table are on the way to the cache.
class Found {
public:
    Found(const Stretch& stretch, WordCounter& counter, std::uint32_t* tokens)
        : text_(stretch.file->data()), base_(stretch.base), counter_(counter), to_(tokens) {}

    void add(std::size_t begin, std::size_t end, std::uint64_t hash, bool ends_sentence) {
        counter_.prefetch(hash);
        words_[size_++] = Word{begin, end - begin, hash, ends_sentence ? Tokens::kEndOfSentence : 0};
        if (size_ == words_.size()) count();
    }

    // Returns whether there was a word before.
    bool end_sentence() {
        if (size_ > 0) {
            words_[size_ - 1].end_of_sentence = Tokens::kEndOfSentence;
        } else if (tokens_ > 0) {
            to_[tokens_ - 1] |= Tokens::kEndOfSentence;
        }
        return size_ + tokens_ > 0;
    }

    // How many words there were in all.
    std::size_t finish() {
        count();
        return tokens_;
    }

private:
    struct Word {
        std::size_t begin;
        std::size_t length;
        std::uint64_t hash;
        std::uint32_t end_of_sentence;
    };

    void count() {
        for (std::size_t i = 0; i < size_; ++i) {
            const Word& word = words_[i];
            const std::string_view text(text_ + word.begin, word.length);
            to_[tokens_++] = counter_.add_next(text, word.hash, base_ + word.begin) | word.end_of_sentence;
        }
        size_ = 0;
    }

    const char* text_;
    std::uint64_t base_;
    WordCounter& counter_;
    std::uint32_t* to_;
    std::size_t tokens_ = 0;
    std::size_t size_ = 0;
    std::array<Word, 32> words_;
};

}  // namespace

// One round takes in a word and the separator after it: most words are shorter than eight bytes, and then no branch
// depends on their length.
Tokenised tokenise(const Stretch& stretch, WordCounter& counter, std::uint32_t* tokens) {
    const MappedFile& file = *stretch.file;
    Found found(stretch, counter, tokens);
    bool leading_newline = false;
    for (std::size_t at = stretch.begin; at < stretch.end; ++at) {
        const std::size_t begin = at;
        std::uint64_t hash = 0;
        std::uint64_t bytes = eight_bytes(file, at);
        std::uint64_t separators = separators_of(bytes);
        while (separators == 0) {
            hash = hash_round(hash, bytes);
            at += sizeof bytes;
            bytes = eight_bytes(file, at);
            separators = separators_of(bytes);
        }
        const int bits = __builtin_ctzll(separators) & ~7;  // those of the word among the eight bytes'
        const std::uint64_t rest = bytes & ((std::uint64_t{1} << bits) - 1);
        if (rest != 0) hash = hash_round(hash, rest);
        at += static_cast<std::size_t>(bits / 8);
        const bool newline = static_cast<char>(bytes >> bits) == '\n';
        if (at > begin) {
            found.add(begin, at, hash, newline);
        } else if (newline && !found.end_sentence()) {
            leading_newline = true;
        }
    }
    return {found.finish(), leading_newline};
}

}  // namespace blazingtext
