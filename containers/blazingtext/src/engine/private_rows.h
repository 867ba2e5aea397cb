// Rows that each thread has for itself: those that all threads change most often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "matrix.h"

namespace blazingtext {

// A thread's copies of the first rows of both matrices, those of the most frequent words. A row that another thread
// changed last comes from the other core's cache, each line in 25 to 250 ns, and of frequent words nearly every row
// would. So each thread goes its own way with them for a while, and then they become their mean, in which a thread counts
// by the words that it has trained (as in McMahan et al. 2017, "Communication-efficient learning", algorithm 1).
class PrivateRows {
public:
    // How many rows of each matrix each thread but the first has copies of: the first trains on the matrices themselves.
    // counts: of the words in the corpus, in descending order. All copies together are at most a sixteenth as large as
    // the matrices, and at most `bytes`.
    static std::size_t count(const std::vector<std::int64_t>& counts, int epochs, std::size_t threads, std::size_t dim,
                             std::size_t bytes);

    // Throws std::bad_alloc.
    PrivateRows(std::size_t count, std::size_t dim) : input_(count, dim), output_(count, dim) {}

    std::size_t count() const { return input_.rows(); }
    float* input(std::size_t row) { return input_.row(row); }
    float* output(std::size_t row) { return output_.row(row); }

    void copy(const Matrix& input, const Matrix& output);

    // Adds `share` times its rows from `begin` to `end` to those of the matrices.
    void add_to(std::size_t begin, std::size_t end, float share, Matrix& input, Matrix& output) const;

private:
    Matrix input_;
    Matrix output_;
};

// Multiplies the rows from `begin` to `end`.
void scale_rows(std::size_t begin, std::size_t end, float share, Matrix& matrix);

}  // namespace blazingtext
