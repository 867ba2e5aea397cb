// Vectors of words and sentences by a fastText model, equal to fastText's.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "model_file.h"
#include "text_rows.h"

namespace blazingtext {

// Composes vectors on one thread. Each is settings().dim floats.
class Composer {
public:
    explicit Composer(const ModelFile& model);

    // The mean over the word's row and those of its n-grams; zeros for a word of which the model knows nothing.
    void word(std::string_view word, float* to);

    // Of a classifier, the mean over all that it sees of the text; else the mean of the words' vectors, each made one
    // long. Zeros for a text of which the model knows nothing.
    void sentence(std::string_view text, float* to);

private:
    void mean_of_rows(float* to);

    const ModelFile& model_;
    std::size_t dim_;
    RowFinder finder_;
    std::vector<std::uint32_t> rows_;
    std::vector<float> vector_;
};

// Makes a vector one long, if it has a length.
bool make_unit(float* vector, std::size_t dim);

// The vectors of all words of a model, each made one long, to the rows of a matrix.
void unit_vectors(const ModelFile& model, int threads, float* matrix);

}  // namespace blazingtext
