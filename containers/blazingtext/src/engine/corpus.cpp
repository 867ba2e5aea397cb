#include "corpus.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <stdexcept>

#include "files.h"
#include "parallel.h"
#include "utf8.h"

namespace blazingtext {
namespace {

constexpr std::size_t kPartBytes = 1 << 20;

// As fastText separates tokens.
constexpr std::array<bool, 256> kSeparators = [] {
    std::array<bool, 256> separators = {};
    for (const char character : {' ', '\t', '\n', '\r', '\v', '\f', '\0'}) {
        separators[static_cast<unsigned char>(character)] = true;
    }
    return separators;
}();

inline bool is_separator(char byte) { return kSeparators[static_cast<unsigned char>(byte)]; }

// A stretch of a file, cut at separators, and what was found in it.
struct Part {
    const MappedFile* file;
    std::size_t begin;
    std::size_t end;
    std::uint64_t base;                 // of the file, in bytes of all files
    int owner = 0;                      // whose counter the numbers belong to
    bool leading_newline = false;       // the sentence of the part before ends with its last token
    std::vector<std::uint32_t> tokens;  // numbers in the owner's counter, later moved to the corpus
    std::size_t start = 0;              // of the tokens, in the corpus
};

// The next separator at or after `at`, unless a token begins right there.
std::size_t cut(const MappedFile& file, std::size_t at) {
    if (at == 0) return 0;
    if (at >= file.size()) return file.size();
    if (is_separator(file.data()[at - 1])) return at;
    while (at < file.size() && !is_separator(file.data()[at])) ++at;
    return at;
}

std::vector<Part> parts_of(const std::vector<MappedFile>& files) {
    std::vector<Part> parts;
    std::uint64_t base = 0;
    for (const MappedFile& file : files) {
        for (std::size_t begin = 0; begin < file.size();) {
            const std::size_t end = cut(file, begin + kPartBytes);
            Part part = {};
            part.file = &file;
            part.begin = begin;
            part.end = end;
            part.base = base;
            parts.push_back(std::move(part));
            begin = end;
        }
        base += file.size();
    }
    return parts;
}

// 64-bit FNV-1a, then a round of mixing, because the table takes its low bits and its tag from the high ones.
inline std::uint64_t mixed(std::uint64_t hash) {
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29);
}

void tokenise(Part& part, WordCounter& counter) {
    const char* const data = part.file->data();
    const char* at = data + part.begin;
    const char* const end = data + part.end;
    part.tokens.reserve((part.end - part.begin) / 5);
    while (at < end) {
        if (is_separator(*at)) {
            if (*at == '\n') {
                if (part.tokens.empty()) {
                    part.leading_newline = true;
                } else {
                    part.tokens.back() |= Corpus::kEndOfSentence;
                }
            }
            ++at;
            continue;
        }
        const char* const begin = at;
        std::uint64_t hash = 0xCBF29CE484222325ULL;
        for (; at < end && !is_separator(*at); ++at) {
            hash = (hash ^ static_cast<unsigned char>(*at)) * 0x100000001B3ULL;
        }
        const std::string_view text(begin, static_cast<std::size_t>(at - begin));
        part.tokens.push_back(counter.add(text, mixed(hash), 1, part.base + static_cast<std::uint64_t>(begin - data)));
    }
}

[[noreturn]] void refuse_bytes(const MappedFile& file, std::size_t offset) {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02x", static_cast<unsigned>(static_cast<unsigned char>(file.data()[offset])));
    throw std::invalid_argument(file.path() + " is not UTF-8 text: byte " + byte + " at offset " +
                                std::to_string(offset) + ".");
}

// Counts the parts' words, each thread with a counter of its own. Parts are taken in order, so that a counter meets
// its words in the order of their appearance. Stops at the first part that is not UTF-8.
void count_words(std::vector<Part>& parts, std::vector<WordCounter>& counters) {
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> bad{parts.size()};
    std::vector<std::size_t> bad_offsets(parts.size());
    in_parallel(static_cast<int>(counters.size()), [&](int thread) {
        for (std::size_t i = next++; i < parts.size() && i < bad; i = next++) {
            Part& part = parts[i];
            const std::size_t size = part.end - part.begin;
            const std::size_t valid = first_not_utf8(part.file->data() + part.begin, size);
            if (valid != size) {
                bad_offsets[i] = part.begin + valid;
                std::size_t earlier = bad;
                while (i < earlier && !bad.compare_exchange_weak(earlier, i)) {
                }
                return;
            }
            part.owner = thread;
            tokenise(part, counters[static_cast<std::size_t>(thread)]);
        }
    });
    if (bad < parts.size()) refuse_bytes(*parts[bad].file, bad_offsets[bad]);
}

// The words of all counters in the first of them; the result gives each counter's numbers there.
std::vector<std::vector<std::uint32_t>> merge(std::vector<WordCounter>& counters) {
    std::vector<std::vector<std::uint32_t>> numbers(counters.size());
    for (std::size_t c = 0; c < counters.size(); ++c) {
        numbers[c].reserve(counters[c].entries().size());
        for (std::size_t i = 0; i < counters[c].entries().size(); ++i) {
            const WordCounter::Entry& entry = counters[c].entries()[i];
            numbers[c].push_back(c == 0 ? static_cast<std::uint32_t>(i)
                                        : counters[0].add(entry.text, entry.hash, entry.count, entry.first));
        }
        if (c > 0) counters[c] = WordCounter();
    }
    return numbers;
}

}  // namespace

Corpus::Corpus(const std::vector<std::string>& paths, std::int64_t min_count, int threads) {
    if (threads < 1) throw std::invalid_argument("threads must be at least 1.");
    std::vector<MappedFile> files;
    files.reserve(paths.size());
    for (const std::string& path : paths) files.emplace_back(path);
    std::vector<Part> parts = parts_of(files);
    for (const MappedFile& file : files) bytes_read_ += file.size();

    const std::size_t useful = std::clamp<std::size_t>(parts.size(), 1, static_cast<std::size_t>(threads));
    std::vector<WordCounter> counters(useful);
    count_words(parts, counters);
    std::vector<std::vector<std::uint32_t>> ids = merge(counters);
    std::vector<std::uint32_t> final_ids;
    vocabulary_ = Vocabulary(counters[0], min_count, final_ids);
    for (std::vector<std::uint32_t>& numbers : ids) {
        for (std::uint32_t& number : numbers) number = final_ids[number];
    }

    for (Part& part : parts) {
        part.start = tokens_read_;
        tokens_read_ += part.tokens.size();
    }
    tokens_.reset(new std::uint32_t[tokens_read_]);
    std::atomic<std::size_t> next{0};
    in_parallel(static_cast<int>(useful), [&](int) {
        for (std::size_t i = next++; i < parts.size(); i = next++) {
            Part& part = parts[i];
            const std::vector<std::uint32_t>& id_of = ids[static_cast<std::size_t>(part.owner)];
            std::uint32_t* to = tokens_.get() + part.start;
            for (const std::uint32_t token : part.tokens) {
                *to++ = id_of[token & ~kEndOfSentence] | (token & kEndOfSentence);
            }
            std::vector<std::uint32_t>().swap(part.tokens);
        }
    });
    // The end of a file ends a sentence, too.
    for (const Part& part : parts) {
        if ((part.leading_newline || part.begin == 0) && part.start > 0) tokens_[part.start - 1] |= kEndOfSentence;
    }
    if (tokens_read_ > 0) tokens_[tokens_read_ - 1] |= kEndOfSentence;
}

}  // namespace blazingtext
