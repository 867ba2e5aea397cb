#include "corpus.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "files.h"
#include "pages.h"
#include "parallel.h"
#include "told_counts.h"
#include "tokeniser.h"
#include "utf8.h"

namespace blazingtext {
namespace {

constexpr std::size_t kPartBytes = 1 << 20;
// Places of words count on by this from one file to the next: a terabyte.
constexpr std::uint64_t kFileSpan = 1ULL << 40;
// Where words stand that do not occur: behind all that do.
constexpr std::uint64_t kNowhere = 1ULL << 63;

// A stretch of a file, cut at separators, and what was found in it.
struct Part {
    Stretch stretch;
    std::size_t room = 0;  // where its tokens, numbers in the owner's counter, are kept before they move to the corpus
    int owner = 0;
    Tokenised found = {};
    std::size_t start = 0;  // of its tokens, in the corpus
};

// The next separator at or after `at`, unless a token begins right there.
std::size_t cut(const MappedFile& file, std::size_t at) {
    if (at == 0) return 0;
    if (at >= file.size()) return file.size();
    if (is_separator(file.data()[at - 1])) return at;
    while (at < file.size() && !is_separator(file.data()[at])) ++at;
    return at;
}

Part part_of(const Stretch& stretch) {
    Part part = {};
    part.stretch = stretch;
    return part;
}

// Where a share begins when `count` things are divided evenly.
std::size_t share_begin(std::size_t count, std::size_t share, std::size_t shares) {
    return count / shares * share + count % shares * share / shares;
}

// The rank's share of all the files' bytes, in parts: of so many parts of equal length, every ranks-th. So all ranks
// together go through the corpus from its beginning to its end, as one rank would.
std::vector<Part> parts_of(const std::vector<MappedFile>& files, int rank, int ranks) {
    const std::size_t total = std::accumulate(files.begin(), files.end(), std::size_t{0},
                                              [](std::size_t sum, const MappedFile& file) { return sum + file.size(); });
    const auto r = static_cast<std::size_t>(rank);
    const auto n = static_cast<std::size_t>(ranks);
    const std::size_t rounds = (total + n * kPartBytes - 1) / (n * kPartBytes);
    std::vector<Part> parts;
    std::size_t before = 0;  // bytes of the files before
    std::size_t round = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
        const MappedFile& file = files[i];
        const std::size_t after = before + file.size();
        const auto here = [&](std::size_t share) {
            return cut(file, std::clamp(share_begin(total, share, rounds * n), before, after) - before);
        };
        for (; round < rounds; ++round) {
            const std::size_t begin = here(round * n + r);
            const std::size_t end = here(round * n + r + 1);
            if (begin < end) parts.push_back(part_of({&file, begin, end, i * kFileSpan}));
            if (share_begin(total, round * n + r + 1, rounds * n) > after) break;  // goes on in the next file
        }
        before = after;
    }
    return parts;
}

// Lays out room for as many tokens as the parts can hold, and returns its size in bytes. Most of it is never used, and
// so costs nothing; what is used is given back part by part as the tokens move to the corpus, whose memory fills
// meanwhile: together they are never much more than the tokens.
std::size_t lay_out_rooms(std::vector<Part>& parts) {
    std::size_t bytes = 0;
    for (Part& part : parts) {
        part.room = bytes;
        bytes += Pages::whole(part.stretch.most_words() * sizeof(std::uint32_t));
    }
    return bytes;
}

std::uint32_t* room_of(const Part& part, Pages& rooms) {
    return reinterpret_cast<std::uint32_t*>(rooms.data() + part.room);
}

[[noreturn]] void refuse_bytes(const MappedFile& file, std::size_t offset) {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02x", static_cast<unsigned>(static_cast<unsigned char>(file.data()[offset])));
    throw std::invalid_argument(file.path() + " is not UTF-8 text: byte " + byte + " at offset " +
                                std::to_string(offset) + ".");
}

// Counts the parts' words, each thread with a counter of its own. Parts are taken in order, so that a counter meets
// its words in the order of their appearance. Stops at the first part that is not UTF-8.
void count_words(std::vector<Part>& parts, std::vector<WordCounter>& counters, Pages& rooms) {
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> bad{parts.size()};
    std::vector<std::size_t> bad_offsets(parts.size());
    in_parallel(static_cast<int>(counters.size()), [&](int thread) {
        for (std::size_t i = next++; i < parts.size() && i < bad; i = next++) {
            Part& part = parts[i];
            const Stretch& stretch = part.stretch;
            const std::size_t size = stretch.end - stretch.begin;
            const std::size_t valid = first_not_utf8(stretch.file->data() + stretch.begin, size);
            if (valid != size) {
                bad_offsets[i] = stretch.begin + valid;
                std::size_t earlier = bad;
                while (i < earlier && !bad.compare_exchange_weak(earlier, i)) {
                }
                return;
            }
            part.owner = thread;
            part.found = tokenise(stretch, counters[static_cast<std::size_t>(thread)], room_of(part, rooms));
        }
    });
    if (bad < parts.size()) refuse_bytes(*parts[bad].stretch.file, bad_offsets[bad]);
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

struct CorpusPart::Text {
    std::vector<MappedFile> files;
    std::vector<Part> parts;
    std::optional<Pages> rooms;
    WordCounter counter;
    std::vector<std::vector<std::uint32_t>> numbers;  // in `counter`, of the words of each part's owner
    std::size_t bytes = 0;
};

CorpusPart::CorpusPart(const std::vector<std::string>& paths, int threads, int rank, int ranks)
    : text_(std::make_unique<Text>()) {
    if (threads < 1) throw std::invalid_argument("threads must be at least 1.");
    if (rank < 0 || rank >= ranks) throw std::invalid_argument("rank must be from 0 to ranks - 1.");
    text_->files.reserve(paths.size());
    for (const std::string& path : paths) text_->files.emplace_back(path);
    text_->parts = parts_of(text_->files, rank, ranks);
    for (const Part& part : text_->parts) {
        text_->bytes += part.stretch.end - part.stretch.begin;
        part.stretch.file->announce(part.stretch.begin, part.stretch.end);
    }
    text_->rooms.emplace(lay_out_rooms(text_->parts));

    std::vector<WordCounter> counters(
        std::clamp<std::size_t>(text_->parts.size(), 1, static_cast<std::size_t>(threads)));
    count_words(text_->parts, counters, *text_->rooms);
    text_->numbers = merge(counters);
    text_->counter = std::move(counters[0]);
}

CorpusPart::~CorpusPart() = default;

const CorpusPart::Text& CorpusPart::text() const {
    if (text_ == nullptr) throw std::invalid_argument("a part of a corpus can be encoded only once.");
    return *text_;
}

std::size_t CorpusPart::tokens_read() const {
    return std::accumulate(text().parts.begin(), text().parts.end(), std::size_t{0},
                           [](std::size_t sum, const Part& part) { return sum + part.found.tokens; });
}

std::size_t CorpusPart::bytes_read() const { return text().bytes; }

std::string CorpusPart::counts() const { return told_counts({tokens_read(), bytes_read()}, text().counter); }

Corpus::Corpus(const std::vector<std::string>& paths, std::int64_t min_count, int threads)
    : Corpus(CorpusPart(paths, threads), min_count, threads, {}) {}

Corpus::Corpus(CorpusPart&& part, std::int64_t min_count, int threads, const std::vector<std::string_view>& others,
               const std::vector<std::string_view>& words) {
    if (threads < 1) throw std::invalid_argument("threads must be at least 1.");
    bytes_read_ = part.bytes_read();
    const std::unique_ptr<CorpusPart::Text> text = std::move(part.text_);
    for (const std::string_view counts : others) {
        const AmountRead amount = add_told_counts(counts, text->counter);
        tokens_read_ += amount.tokens;
        bytes_read_ += amount.bytes;
    }
    for (std::size_t i = 0; i < words.size(); ++i) text->counter.keep(words[i], word_hash(words[i]), kNowhere + i);
    std::vector<std::uint32_t> final_ids;
    vocabulary_ = Vocabulary(text->counter, min_count, final_ids);
    for (std::vector<std::uint32_t>& numbers : text->numbers) {
        for (std::uint32_t& number : numbers) number = final_ids[number];
    }
    text->counter = WordCounter();  // before the tokens' memory fills

    std::vector<Part>& parts = text->parts;
    for (Part& part : parts) {
        part.start = size_;
        size_ += part.found.tokens;
    }
    tokens_read_ += size_;
    tokens_ = Tokens(size_, vocabulary_.size());
    std::atomic<std::size_t> next{0};
    in_parallel(threads, [&](int) {
        for (std::size_t i = next++; i < parts.size(); i = next++) {
            const Part& part = parts[i];
            const std::vector<std::uint32_t>& id_of = text->numbers[static_cast<std::size_t>(part.owner)];
            const std::uint32_t* const from = room_of(part, *text->rooms);
            for (std::size_t k = 0; k < part.found.tokens; ++k) {
                const std::uint32_t token = from[k];
                tokens_.set(part.start + k, id_of[token & ~Tokens::kEndOfSentence] | (token & Tokens::kEndOfSentence));
            }
            text->rooms->release(part.room, part.stretch.most_words() * sizeof(std::uint32_t));
        }
    });
    const auto end_sentence = [&](std::size_t end) { tokens_.set(end - 1, tokens_[end - 1] | Tokens::kEndOfSentence); };
    // A sentence ends before a newline, and where the next part is not what follows in the same file.
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const Stretch& before = parts[i - 1].stretch;
        const Stretch& here = parts[i].stretch;
        const bool follows = here.file == before.file && here.begin == before.end;
        const bool ends = parts[i].found.leading_newline || !follows;
        if (ends && parts[i].start > 0) end_sentence(parts[i].start);
    }
    if (size_ > 0) end_sentence(size_);
}

}  // namespace blazingtext
