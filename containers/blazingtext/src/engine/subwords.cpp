#include "subwords.h"

#include <string>
#include <unordered_map>

namespace blazingtext {

std::uint32_t fnv1a(std::string_view text) {
    std::uint32_t hash = kFnvBasis;
    for (const char byte : text) hash = fnv1a_step(hash, byte);
    return hash;
}

std::vector<std::uint32_t> subword_buckets(std::string_view word, int min_char, int max_char, std::uint32_t buckets) {
    std::vector<std::uint32_t> result;
    if (word == kEndToken) return result;
    const std::string marked = "<" + std::string(word) + ">";
    each_ngram(marked, min_char, max_char, [&](std::uint32_t hash) { result.push_back(hash % buckets); });
    return result;
}

Subwords::Subwords(const Vocabulary& vocabulary, int min_char, int max_char, std::uint32_t buckets) {
    const auto words = static_cast<std::uint32_t>(vocabulary.size());
    starts_.reserve(words + std::size_t{1});
    std::unordered_map<std::uint32_t, std::uint32_t> rows;
    for (std::uint32_t word = 0; word < words; ++word) {
        starts_.push_back(rows_.size());
        rows_.push_back(word);
        for (const std::uint32_t bucket : subword_buckets(vocabulary.word(word), min_char, max_char, buckets)) {
            const auto [row, is_new] = rows.try_emplace(bucket, words + static_cast<std::uint32_t>(buckets_.size()));
            if (is_new) buckets_.push_back(bucket);
            rows_.push_back(row->second);
        }
    }
    starts_.push_back(rows_.size());
}

}  // namespace blazingtext
