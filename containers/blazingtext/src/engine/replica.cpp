#include "replica.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

// The loops below take their share of every synchronisation: compiled for what the processor has, where it can be told.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

namespace blazingtext {
namespace {

// Rows of words of about the same frequency, for which the damping is worked out once.
constexpr std::size_t kAlike = 8;

void copy(const Matrix& from, Matrix& to) {
    for (std::size_t i = 0; i < to.rows(); ++i) std::copy_n(from.row(i), to.stride(), to.row(i));
}

FOR_EACH_PROCESSOR
void subtract(const float* live, const float* shared, std::size_t count, float* change) {
    for (std::size_t d = 0; d < count; ++d) change[d] = live[d] - shared[d];
}

// What is left of the sum of n hosts' changes after `decay` on each: (1 - q^n) / (n (1 - q)), q = exp(-decay).
float damping(float decay, int hosts) {
    const double least = std::max(static_cast<double>(decay), 1e-6);
    return static_cast<float>(std::expm1(-hosts * least) / (hosts * std::expm1(-least)));
}

FOR_EACH_PROCESSOR
float dot(const float* a, const float* b, std::size_t stride) {
    float sums[kRowPadding] = {};
    for (std::size_t d = 0; d < stride; d += kRowPadding) {
        for (std::size_t j = 0; j < kRowPadding; ++j) sums[j] += a[d + j] * b[d + j];
    }
    float sum = 0.0f;
    for (const float part : sums) sum += part;
    return sum;
}

FOR_EACH_PROCESSOR
void add(float factor, const float* from, std::size_t stride, float* to) {
    for (std::size_t d = 0; d < stride; ++d) to[d] += factor * from[d];
}

// How much of a damped sum is safe to add: a sum that is longer than the row with the mean of the changes has left the
// region where the row's loss is as it was measured, and is cut to that length, or to the mean's if that is longer.
float safe_share(const float* row, const float* sum, const float* damped, int hosts, std::size_t stride) {
    const float share = 1.0f / static_cast<float>(hosts);
    const float mean = share * share * dot(sum, sum, stride);
    const float reached = dot(row, row, stride) + 2.0f * share * dot(row, sum, stride) + mean;
    const float length = dot(damped, damped, stride);
    const float longest = std::max(mean, reached);
    return length > longest ? std::sqrt(longest / length) : 1.0f;
}

void take_rows(std::size_t begin, std::size_t end, int hosts, const float* rates, const Curvature& curvature,
               const float* changes, Matrix& copy, Matrix& live) {
    const std::size_t stride = copy.stride();
    Matrix directions(curvature.count, copy.dim());
    for (std::size_t k = 0; k < curvature.count; ++k) {
        std::copy_n(curvature.directions + k * copy.dim(), copy.dim(), directions.row(k));
    }
    Matrix scratch(1, copy.dim());
    std::vector<float> factors(curvature.count);
    float elsewhere = 1.0f;
    for (std::size_t i = begin; i < end; ++i) {
        if ((i - begin) % kAlike == 0) {
            const float rate = rates[std::min(i + kAlike / 2, end - 1) - begin];
            elsewhere = damping(rate * curvature.elsewhere, hosts);
            for (std::size_t k = 0; k < factors.size(); ++k) {
                factors[k] = damping(rate * curvature.along[k], hosts) - elsewhere;
            }
        }
        const float* const sum = changes + (i - begin) * stride;
        float* const damped = scratch.row(0);
        std::fill_n(damped, stride, 0.0f);
        add(elsewhere, sum, stride, damped);
        for (std::size_t k = 0; k < factors.size(); ++k) {
            const float* const direction = directions.row(k);
            add(factors[k] * dot(sum, direction, stride), direction, stride, damped);
        }
        add(safe_share(copy.row(i), sum, damped, hosts, stride), damped, stride, copy.row(i));
        std::copy_n(copy.row(i), stride, live.row(i));
    }
}

}  // namespace

Replica::Replica(Trainer& trainer)
    : trainer_(trainer),
      input_(trainer.output().rows(), trainer.output().dim()),
      output_(trainer.output().rows(), trainer.output().dim()),
      changes_(2 * std::min(kRows, trainer.output().rows()), trainer.output().dim()) {
    copy(trainer.input(), input_);
    copy(trainer.output(), output_);
}

void Replica::check(std::size_t begin, std::size_t end) const {
    if (begin > end || end > input_.rows() || end - begin > kRows) {
        throw std::out_of_range("rows must be a range of at most 4096 of the words.");
    }
}

void Replica::tell(std::size_t begin, std::size_t end) {
    check(begin, end);
    const std::size_t count = (end - begin) * stride();
    subtract(trainer_.input().row(begin), input_.row(begin), count, changes());
    subtract(trainer_.output().row(begin), output_.row(begin), count, changes() + count);
}

void Replica::take(std::size_t begin, std::size_t end, int hosts, const float* rates, const Curvature& of_inputs,
                   const Curvature& of_outputs) {
    check(begin, end);
    const std::size_t rows = end - begin;
    take_rows(begin, end, hosts, rates, of_inputs, changes(), input_, trainer_.input());
    take_rows(begin, end, hosts, rates + rows, of_outputs, changes() + rows * stride(), output_, trainer_.output());
}

}  // namespace blazingtext
