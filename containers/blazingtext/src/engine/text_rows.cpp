#include "text_rows.h"

#include <algorithm>

#include "subwords.h"
#include "tokeniser.h"

namespace blazingtext {
namespace {

// A model file does not tell which other prefix its labels had: what is not in the dictionary is told by this one.
constexpr std::string_view kLabelPrefix = "__label__";

bool looks_like_label(std::string_view token) { return token.substr(0, kLabelPrefix.size()) == kLabelPrefix; }

// As fastText has it, 32-bit hashes are signed numbers here.
std::uint64_t extended(std::uint32_t hash) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(hash)));
}

}  // namespace

RowFinder::RowFinder(const ModelFile& model)
    : model_(model), dictionary_(model.dictionary()), buckets_(model.settings().buckets) {}

void RowFinder::add_word(std::string_view word, std::vector<std::uint32_t>& rows) {
    const std::uint32_t entry = dictionary_.find(word, fnv1a(word));
    if (entry < dictionary_.words()) rows.push_back(entry);
    add_ngrams(word, rows);
}

void RowFinder::add_text(std::string_view text, std::vector<std::uint32_t>& rows) {
    find_tokens(text);
    for (const Token& token : tokens_) dictionary_.fetch_start(token.hash);
    for (const Token& token : tokens_) dictionary_.fetch_text(token.hash);
    hashes_.clear();
    for (const Token& token : tokens_) {
        const std::uint32_t entry = dictionary_.find(token.text, token.hash);
        const bool known = entry != Dictionary::kNone;
        if (known ? entry >= dictionary_.words() : looks_like_label(token.text)) continue;
        if (known) rows.push_back(entry);
        add_ngrams(token.text, rows);
        hashes_.push_back(token.hash);
    }
    add_word_ngrams(rows);
}

void RowFinder::find_tokens(std::string_view text) {
    tokens_.clear();
    const char* at = text.data();
    const char* const end = at + text.size();
    while (true) {
        while (at < end && is_separator(*at)) ++at;
        if (at == end) break;
        const char* const begin = at;
        std::uint32_t hash = kFnvBasis;
        for (; at < end && !is_separator(*at); ++at) hash = fnv1a_step(hash, *at);
        dictionary_.fetch_slot(hash);
        tokens_.push_back(Token{std::string_view(begin, static_cast<std::size_t>(at - begin)), hash});
        if (tokens_.back().text == kEndToken) return;
    }
    tokens_.push_back(Token{kEndToken, fnv1a(kEndToken)});
}

void RowFinder::add_ngrams(std::string_view word, std::vector<std::uint32_t>& rows) {
    const ModelSettings& settings = model_.settings();
    if (settings.max_char == 0 || word == kEndToken) return;
    marked_.assign(1, '<').append(word).append(1, '>');
    each_ngram(marked_, settings.min_char, settings.max_char, [&](std::uint32_t hash) { add_bucket(hash, rows); });
}

// h(w1 ... wn) = h(w1 ... wn-1) * 116049371 + h(wn)
void RowFinder::add_word_ngrams(std::vector<std::uint32_t>& rows) const {
    const auto longest = static_cast<std::size_t>(std::max(model_.settings().word_ngrams, 1));
    for (std::size_t first = 0; first < hashes_.size(); ++first) {
        std::uint64_t hash = extended(hashes_[first]);
        const std::size_t end = first + std::min(longest, hashes_.size() - first);
        for (std::size_t next = first + 1; next < end; ++next) {
            hash = hash * 116049371 + extended(hashes_[next]);
            add_bucket(hash, rows);
        }
    }
}

void RowFinder::add_bucket(std::uint64_t hash, std::vector<std::uint32_t>& rows) const {
    const std::uint32_t row = model_.bucket_row(buckets_.remainder(hash));
    if (row != Dictionary::kNone) rows.push_back(row);
}

}  // namespace blazingtext
