// Random corpora and hyperparameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "settings.h"

namespace blazingtext::fuzz {

// What one case reads, trains and writes. Equal numbers give equal scenarios.
struct Scenario {
    std::vector<std::string> files;  // contents
    bool missing_file;               // one more is named that is not there
    std::int64_t min_count;
    int ranks;  // that each read a part; the one that trains is in the settings
    int reading_threads;
    Settings settings;
    std::int64_t portion;  // words of one call of Trainer::train

    Scenario(std::uint64_t seed, std::uint64_t number);

    // One line: sizes and settings, no contents.
    std::string description() const;
};

}  // namespace blazingtext::fuzz
