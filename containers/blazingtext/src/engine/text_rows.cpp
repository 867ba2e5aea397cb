#include "text_rows.h"

#include <algorithm>

#include "subwords.h"

namespace blazingtext {
namespace {

// A model file does not tell which other prefix its labels had: what is not in the dictionary is told by this one.
constexpr std::string_view kLabelPrefix = "__label__";

constexpr std::size_t kLine = 64;

// Labels in a text, in the place of an entry.
constexpr std::uint32_t kPassedOver = Dictionary::kNone - 1;

bool looks_like_label(std::string_view token) { return token.substr(0, kLabelPrefix.size()) == kLabelPrefix; }

// As fastText has it, 32-bit hashes are signed numbers here.
std::uint64_t extended(std::uint32_t hash) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(hash)));
}

}  // namespace

RowFinder::RowFinder(const ModelFile& model)
    : model_(model), dictionary_(model.dictionary()), buckets_(model.settings().buckets),
      longest_(static_cast<std::size_t>(std::max(model.settings().word_ngrams, 1))), input_(model.input().data()),
      row_bytes_(model.input().row_bytes()), tokens_(model.kernel()) {}

// The row is on its way to the processor from here on.
inline void RowFinder::fetch_row(std::uint32_t row) const {
    const char* const begin = input_ + row * row_bytes_;
    for (std::size_t at = 0; at < row_bytes_; at += kLine) __builtin_prefetch(begin + at);
    __builtin_prefetch(begin + row_bytes_ - 1);
}

inline std::uint32_t RowFinder::bucket_row(std::uint64_t hash) const {
    const std::uint32_t row = model_.bucket_row(buckets_.remainder(hash));
    if (row != Dictionary::kNone) fetch_row(row);
    return row;
}

void RowFinder::add_word(std::string_view word, std::vector<std::uint32_t>& rows) {
    const std::uint32_t entry = dictionary_.find(word);
    if (entry < dictionary_.words()) rows.push_back(entry);
    add_ngrams(word, rows);
}

void RowFinder::add_text(std::string_view text, std::vector<std::uint32_t>& rows) {
    tokens_.split(text);
    find_entries();
    const bool with_ngrams = model_.settings().max_char > 0;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        if (entries_[i] == kPassedOver) continue;
        if (entries_[i] != Dictionary::kNone) rows.push_back(entries_[i]);
        if (with_ngrams) add_ngrams(tokens_.text(i), rows);
    }
    add_word_ngrams(rows);
}

// The entry of each token, and the hashes of those that are words.
void RowFinder::find_entries() {
    const std::size_t size = tokens_.size();
    for (std::size_t i = 0; i < size; ++i) dictionary_.fetch_slot(tokens_.hash(i));
    for (const std::size_t index : tokens_.long_ones()) dictionary_.fetch_start(tokens_.hash(index));
    entries_.resize(size);
    hashes_.resize(size);
    std::uint32_t* const entries = entries_.data();
    std::uint32_t* hash = hashes_.data();
    for (std::size_t i = 0; i < size; ++i) {
        const TextToken token = tokens_[i];
        entries[i] = dictionary_.find(token);
        const bool known = entries[i] != Dictionary::kNone;
        if (known ? entries[i] >= dictionary_.words() : looks_like_label(token.text)) {
            entries[i] = kPassedOver;
            continue;
        }
        if (known) fetch_row(entries[i]);
        *hash++ = token.hash;
    }
    hashes_.resize(static_cast<std::size_t>(hash - hashes_.data()));
}

// h(w1 ... wn) = h(w1 ... wn-1) * 116049371 + h(wn)
void RowFinder::add_word_ngrams(std::vector<std::uint32_t>& rows) const {
    const std::size_t words = hashes_.size();
    const std::size_t before = rows.size();
    rows.resize(before + words * (std::min(longest_, words + 1) - 1));
    std::uint32_t* to = rows.data() + before;
    for (std::size_t first = 0; first < words; ++first) {
        std::uint64_t hash = extended(hashes_[first]);
        const std::size_t end = std::min(first + longest_, words);
        for (std::size_t next = first + 1; next < end; ++next) {
            hash = hash * 116049371 + extended(hashes_[next]);
            const std::uint32_t row = bucket_row(hash);
            *to = row;
            to += row != Dictionary::kNone;
        }
    }
    rows.resize(static_cast<std::size_t>(to - rows.data()));
}

void RowFinder::add_ngrams(std::string_view word, std::vector<std::uint32_t>& rows) {
    const ModelSettings& settings = model_.settings();
    if (settings.max_char == 0 || word == kEndToken) return;
    marked_.assign(1, '<').append(word).append(1, '>');
    each_ngram(marked_, settings.min_char, settings.max_char, [&](std::uint32_t hash) {
        const std::uint32_t row = bucket_row(hash);
        if (row != Dictionary::kNone) rows.push_back(row);
    });
}

}  // namespace blazingtext
