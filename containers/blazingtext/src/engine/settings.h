#pragma once

#include <cstdint>
#include <string>

namespace blazingtext {

enum class Mode { kBatchSkipgram, kSkipgram, kCbow };

// Throws std::invalid_argument for an unknown name.
Mode mode_of(const std::string& name);
const char* name_of(Mode mode);

// Windows that may share a step.
constexpr int kMostCentres = 32;

// A training job, as the hyperparameters of the same names describe it.
struct Settings {
    Mode mode;
    int dim;
    int window_size;
    int negative_samples;
    int batch_size;
    int epochs;
    double learning_rate;
    double sampling_threshold;
    bool subwords;
    int min_char;
    int max_char;
    std::uint32_t buckets;
    std::uint64_t seed;
    int threads;
    int rank;  // of this host: its random numbers are its own
    std::string instructions;  // the kernel's name, "" for the fastest

    // Throws std::invalid_argument for values that cannot be trained with.
    void check() const;
};

}  // namespace blazingtext
