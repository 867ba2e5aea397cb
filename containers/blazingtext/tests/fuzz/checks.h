// What holds of every scenario.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "scenario.h"

namespace blazingtext::fuzz {

// Something that must hold does not.
class Violation : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// How a scenario ended: trained to its end, or refused as it should be.
enum class Outcome { kTrained, kNotText, kNoWords, kNoFile, kBadSetting, kDiverged };

// Reads, trains and writes; compares the corpus with what plain code finds in it, and all numbers with what is finite.
// folder: empty, and empty again afterwards. Throws Violation.
Outcome run(const Scenario& scenario, const std::filesystem::path& folder);

}  // namespace blazingtext::fuzz
