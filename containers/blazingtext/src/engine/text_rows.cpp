#include "text_rows.h"

#include <algorithm>

#include "subwords.h"

namespace blazingtext {
namespace {

// A model file does not tell which other prefix its labels had: what is not in the dictionary is told by this one.
constexpr std::string_view kLabelPrefix = "__label__";

constexpr std::size_t kLine = 64;

bool looks_like_label(std::string_view token) { return token.substr(0, kLabelPrefix.size()) == kLabelPrefix; }

// As fastText has it, 32-bit hashes are signed numbers here.
std::uint64_t extended(std::uint32_t hash) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(hash)));
}

}  // namespace

RowFinder::RowFinder(const ModelFile& model)
    : model_(model), dictionary_(model.dictionary()), buckets_(model.settings().buckets),
      longest_(static_cast<std::size_t>(std::max(model.settings().word_ngrams, 1))), input_(model.input().data()),
      row_bytes_(model.input().row_bytes()) {}

// A row is on its way to the processor from here on.
inline void RowFinder::add_row(std::uint32_t row, std::vector<std::uint32_t>& rows) const {
    rows.push_back(row);
    const char* const begin = input_ + row * row_bytes_;
    for (std::size_t at = 0; at < row_bytes_; at += kLine) __builtin_prefetch(begin + at);
    __builtin_prefetch(begin + row_bytes_ - 1);
}

inline void RowFinder::add_bucket(std::uint64_t hash, std::vector<std::uint32_t>& rows) const {
    const std::uint32_t row = model_.bucket_row(buckets_.remainder(hash));
    if (row != Dictionary::kNone) add_row(row, rows);
}

// Those that begin with the word of hashes_[first]: h(w1 ... wn) = h(w1 ... wn-1) * 116049371 + h(wn)
inline void RowFinder::add_word_ngrams(std::size_t first, std::vector<std::uint32_t>& rows) const {
    std::uint64_t hash = extended(hashes_[first]);
    const std::size_t end = std::min(first + longest_, hashes_.size());
    for (std::size_t next = first + 1; next < end; ++next) {
        hash = hash * 116049371 + extended(hashes_[next]);
        add_bucket(hash, rows);
    }
}

void RowFinder::add_word(std::string_view word, std::vector<std::uint32_t>& rows) {
    const std::uint32_t entry = dictionary_.find(word, fnv1a(word));
    if (entry < dictionary_.words()) add_row(entry, rows);
    add_ngrams(word, rows);
}

void RowFinder::add_text(std::string_view text, std::vector<std::uint32_t>& rows) {
    tokens_.split(text);
    for (const TextToken& token : tokens_) dictionary_.fetch_slot(token);
    for (const TextToken& token : tokens_) dictionary_.fetch_start(token);
    hashes_.clear();
    for (const TextToken& token : tokens_) {
        const std::uint32_t entry = dictionary_.find(token);
        const bool known = entry != Dictionary::kNone;
        if (known ? entry >= dictionary_.words() : looks_like_label(token.text)) continue;
        if (known) add_row(entry, rows);
        if (model_.settings().max_char > 0) add_ngrams(token.text, rows);
        hashes_.push_back(token.hash);
    }
    for (std::size_t first = 0; first < hashes_.size(); ++first) add_word_ngrams(first, rows);
}

void RowFinder::add_ngrams(std::string_view word, std::vector<std::uint32_t>& rows) {
    const ModelSettings& settings = model_.settings();
    if (settings.max_char == 0 || word == kEndToken) return;
    marked_.assign(1, '<').append(word).append(1, '>');
    each_ngram(marked_, settings.min_char, settings.max_char, [&](std::uint32_t hash) { add_bucket(hash, rows); });
}

}  // namespace blazingtext
