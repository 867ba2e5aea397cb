#include "settings.h"

#include <cmath>
#include <stdexcept>


namespace blazingtext {
namespace {

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

}  // namespace

Mode mode_of(const std::string& name) {
    if (name == "batch_skipgram") return Mode::kBatchSkipgram;
    if (name == "skipgram") return Mode::kSkipgram;
    if (name == "cbow") return Mode::kCbow;
    throw std::invalid_argument("mode=" + name + " is not known; it must be batch_skipgram, skipgram or cbow.");
}

const char* name_of(Mode mode) {
    switch (mode) {
        case Mode::kBatchSkipgram:
            return "batch_skipgram";
        case Mode::kSkipgram:
            return "skipgram";
        case Mode::kCbow:
            return "cbow";
    }
    return "";
}

void Settings::check() const {
    require(dim >= 1, "dim must be at least 1.");
    require(window_size >= 1, "window_size must be at least 1.");
    require(negative_samples >= 1, "negative_samples must be at least 1.");
    require(batch_size >= 1 && batch_size <= kMostCentres, "batch_size must be from 1 to 32.");
    require(epochs >= 1, "epochs must be at least 1.");
    require(learning_rate > 0 && std::isfinite(learning_rate), "learning_rate must be above 0 and finite.");
    require(sampling_threshold > 0, "sampling_threshold must be above 0.");
    require(threads >= 1, "threads must be at least 1.");
    require(rank >= 0, "rank must be at least 0.");
    if (!subwords) return;
    require(mode != Mode::kBatchSkipgram, "mode=batch_skipgram does not learn subwords.");
    require(min_char >= 1 && min_char <= max_char, "min_char must be from 1 to max_char.");
    require(buckets >= 1, "buckets must be at least 1.");
}

}  // namespace blazingtext
