// The model that several hosts share, as it was when they last brought their changes together.
#pragma once

#include <cstddef>

#include "matrix.h"
#include "trainer.h"

namespace blazingtext {

// How sharply the loss of a row curves, for one update at learning rate 1.
struct Curvature {
    const float* directions;  // count x dim, orthonormal: where it is largest
    const float* along;       // count: in each of them
    std::size_t count;
    float elsewhere;  // in every direction orthogonal to them
};

// A copy of a trainer's matrices, against which changes are told: a row's change is what it is now less what it was.
class Replica {
public:
    // The trainer must outlive this object. Throws std::bad_alloc.
    explicit Replica(Trainer& trainer);

    // Rows of each matrix whose changes are told at once, at most.
    static constexpr std::size_t kRows = 4096;

    // Writes the changes of the input rows from `begin` to `end` into `changes`, then those of the output rows.
    // Throws std::out_of_range.
    void tell(std::size_t begin, std::size_t end);

    // Takes what `changes` holds by now, the sum over `hosts`: each row becomes what it was plus the sum, damped along
    // the curvature and cut as distributed.py says, here and in the trainer. `rates` are learning rate x updates since by one
    // host: of the input rows from `begin` to `end`, then of the output rows.
    // Throws std::out_of_range.
    void take(std::size_t begin, std::size_t end, int hosts, const float* rates, const Curvature& of_inputs,
              const Curvature& of_outputs);

    float* changes() { return changes_.row(0); }
    std::size_t stride() const { return changes_.stride(); }
    std::size_t dim() const { return input_.dim(); }
    const Matrix& input() const { return input_; }
    const Matrix& output() const { return output_; }

private:
    void check(std::size_t begin, std::size_t end) const;

    Trainer& trainer_;
    Matrix input_;
    Matrix output_;
    Matrix changes_;
};

}  // namespace blazingtext
