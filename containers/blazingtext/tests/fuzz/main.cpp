// Runs random scenarios through the engine, built with sanitizers: fuzz_engine [--cases N] [--seed S] [--first K].
#include <sanitizer/common_interface_defs.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>

#include "checks.h"
#include "scenario.h"

// An abort (a failed assertion of the library, an exception that nobody catches) is told with its case, too.
extern "C" const char* __asan_default_options() { return "handle_abort=1:allocator_may_return_null=1"; }

namespace blazingtext::fuzz {
namespace {

constexpr std::array<const char*, 6> kOutcomes = {"trained",  "not UTF-8",   "without words",
                                                  "no file", "bad setting", "diverged"};

struct Arguments {
    std::uint64_t cases = 300;
    std::uint64_t seed = 1;
    std::uint64_t first = 0;
};

std::string current;  // what to tell when the sanitizers end the process

void tell_current() { std::cerr << current << std::flush; }

std::string repetition(std::uint64_t seed, std::uint64_t number) {
    return "repeat with: fuzz_engine --cases 1 --seed " + std::to_string(seed) + " --first " + std::to_string(number) +
           "\n";
}

bool parse(int count, char** texts, Arguments& arguments) {
    for (int i = 1; i < count; i += 2) {
        std::uint64_t* value = std::strcmp(texts[i], "--cases") == 0   ? &arguments.cases
                               : std::strcmp(texts[i], "--seed") == 0  ? &arguments.seed
                               : std::strcmp(texts[i], "--first") == 0 ? &arguments.first
                                                                       : nullptr;
        if (value == nullptr || i + 1 == count) return false;
        const char* const end = texts[i + 1] + std::strlen(texts[i + 1]);
        const std::from_chars_result result = std::from_chars(texts[i + 1], end, *value);
        if (result.ec != std::errc() || result.ptr != end) return false;
    }
    return true;
}

bool run_cases(const Arguments& arguments, const std::filesystem::path& folder) {
    std::array<std::uint64_t, kOutcomes.size()> outcomes = {};
    for (std::uint64_t number = arguments.first; number < arguments.first + arguments.cases; ++number) {
        const Scenario scenario(arguments.seed, number);
        current = "case " + std::to_string(number) + ": " + scenario.description() + "\n" +
                  repetition(arguments.seed, number);
        try {
            ++outcomes[static_cast<std::size_t>(run(scenario, folder))];
        } catch (const std::exception& error) {
            std::cerr << error.what() << "\n" << current;
            return false;
        }
    }
    std::cout << arguments.cases << " cases";
    for (std::size_t i = 0; i < outcomes.size(); ++i) std::cout << ", " << outcomes[i] << " " << kOutcomes[i];
    std::cout << "\n";
    return true;
}

}  // namespace
}  // namespace blazingtext::fuzz

int main(int count, char** texts) {
    using namespace blazingtext::fuzz;
    Arguments arguments;
    if (!parse(count, texts, arguments)) {
        std::cerr << "usage: fuzz_engine [--cases N] [--seed S] [--first K]\n";
        return 2;
    }
    std::string folder = (std::filesystem::temp_directory_path() / "fuzz-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
        std::cerr << "no temporary folder could be made: " << std::strerror(errno) << "\n";
        return 1;
    }
    __sanitizer_set_death_callback(tell_current);
    const bool held = run_cases(arguments, folder);
    std::filesystem::remove_all(folder);
    return held ? 0 : 1;
}
