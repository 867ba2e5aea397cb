#include "composer.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "parallel.h"

namespace blazingtext {
namespace {

constexpr std::size_t kPartWords = 1024;

// What separates the words of a sentence: unlike elsewhere in fastText, a NUL does not.
constexpr std::string_view kBlanks = " \t\n\r\v\f";

}  // namespace

Composer::Composer(const ModelFile& model)
    : model_(model), dim_(model.input().dim()), finder_(model), vector_(dim_) {}

void Composer::word(std::string_view word, float* to) {
    rows_.clear();
    finder_.add_word(word, rows_);
    mean_of_rows(to);
}

void Composer::sentence(std::string_view text, float* to) {
    if (model_.supervised()) {
        rows_.clear();
        finder_.add_text(text, rows_);
        mean_of_rows(to);
        return;
    }
    std::fill_n(to, dim_, 0.0f);
    std::size_t words = 0;
    for (std::size_t at = text.find_first_not_of(kBlanks); at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
        word(text.substr(at, end - at), vector_.data());
        if (make_unit(vector_.data(), dim_)) {
            for (std::size_t d = 0; d < dim_; ++d) to[d] += vector_[d];
            ++words;
        }
        at = text.find_first_not_of(kBlanks, end);
    }
    for (std::size_t d = 0; d < dim_ && words > 0; ++d) to[d] *= 1.0f / static_cast<float>(words);
}

void Composer::mean_of_rows(float* to) {
    if (rows_.empty()) {
        std::fill_n(to, dim_, 0.0f);
    } else {
        model_.input().mean(model_.kernel(), rows_.data(), rows_.size(), to);
    }
}

bool make_unit(float* vector, std::size_t dim) {
    float sum = 0.0f;
    for (std::size_t d = 0; d < dim; ++d) sum += vector[d] * vector[d];
    if (!(sum > 0.0f)) return false;
    const float share = 1.0f / std::sqrt(sum);
    for (std::size_t d = 0; d < dim; ++d) vector[d] *= share;
    return true;
}

void unit_vectors(const ModelFile& model, int threads, float* matrix) {
    const std::size_t words = model.dictionary().words();
    const std::size_t dim = model.input().dim();
    std::atomic<std::size_t> next{0};
    in_parallel(threads, [&](int) {
        Composer composer(model);
        for (std::size_t begin = next.fetch_add(kPartWords); begin < words; begin = next.fetch_add(kPartWords)) {
            for (std::size_t word = begin; word < std::min(begin + kPartWords, words); ++word) {
                composer.word(model.dictionary().text(word), matrix + word * dim);
                make_unit(matrix + word * dim, dim);
            }
        }
    });
}

}  // namespace blazingtext
