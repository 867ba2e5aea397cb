#include "scenario.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <string_view>

#include "kernel.h"
#include "random.h"

namespace blazingtext::fuzz {
namespace {

// Draws of one scenario. Small values come often: most edges are there, and a case stays short.
class Dice {
public:
    Dice(std::uint64_t seed, std::uint64_t number) : random_(seed, number) {}

    bool one_in(std::uint32_t cases) { return random_.below(cases) == 0; }
    int between(int low, int high) {
        return low + static_cast<int>(random_.below(static_cast<std::uint32_t>(high - low) + 1));
    }
    // Evenly distributed on a logarithmic scale.
    double log_between(double low, double high) { return low * std::exp(unit() * std::log(high / low)); }
    int log_between(int low, int high) {
        return std::min(high, static_cast<int>(log_between(static_cast<double>(low), high + 1.0)));
    }
    template <typename Value, std::size_t Count>
    Value one_of(const std::array<Value, Count>& values) {
        return values[random_.below(Count)];
    }
    std::uint64_t bits() { return random_.next(); }

private:
    double unit() { return static_cast<double>(random_.next() >> 11) * 0x1p-53; }

    Random random_;
};

constexpr std::array<std::string_view, 12> kSeparators = {
    " ", " ", " ", "\n", "\n\n", "\t", "\r\n", "\v", "\f", std::string_view("\0", 1), "  ", " \n \n",
};
constexpr std::array<std::string_view, 14> kCharacters = {
    "a", "b", "e", "<", ">", "0", "\x01", "\x7f", "\u00e9", "\u00a0", "\u4e16", "\u2028", "\U0001f600", "\U0010ffff",
};
constexpr std::array<std::string_view, 8> kNotUtf8 = {
    "\xff", "\x80", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xfe",
};
constexpr std::array<std::string_view, 3> kSpecialWords = {"</s>", "<", ">"};

std::string word_of(Dice& dice, int longest) {
    std::string word;
    for (int length = dice.log_between(1, longest); length > 0; --length) word += dice.one_of(kCharacters);
    return word;
}

// Words of a small vocabulary, the first ones most often; or of a larger one, all as often, so that several threads
// train.
std::string text_of(Dice& dice, int tokens) {
    const bool even = dice.one_in(3);
    std::vector<std::string> vocabulary(kSpecialWords.begin(), kSpecialWords.end());
    for (int words = dice.log_between(1, even ? 1000 : 300); words > 0; --words) {
        vocabulary.push_back(word_of(dice, 20));
    }
    const bool one_line = dice.one_in(4);
    std::string text;
    for (; tokens > 0; --tokens) {
        const auto words = static_cast<int>(vocabulary.size());
        const int place = even ? dice.between(1, words) : dice.log_between(1, words);
        text += vocabulary[vocabulary.size() - static_cast<std::size_t>(place)];
        text += one_line ? std::string_view(" ") : dice.one_of(kSeparators);
    }
    return text;
}

std::string separators_of(Dice& dice) {
    std::string text;
    for (int count = dice.between(0, 20); count > 0; --count) text += dice.one_of(kSeparators);
    return text;
}

std::string repeated(std::string_view text, int times) {
    std::string result;
    result.reserve(text.size() * static_cast<std::size_t>(times));
    for (; times > 0; --times) result += text;
    return result;
}

// How much text a case may have: the time it takes is bounded, whatever the settings.
struct Bounds {
    int tokens;
    int characters;  // of one word

    explicit Bounds(const Settings& settings) {
        const double multiplications = 5e8;
        const double ngrams = settings.subwords ? settings.max_char - settings.min_char + 1 : 0;
        const double row = std::max<double>(settings.dim, kRowPadding);
        const double token = row * (2.0 * settings.window_size * (settings.negative_samples + 1) + 20 * ngrams);
        tokens = static_cast<int>(std::clamp(multiplications / std::max(token, 1.0), 10.0, 200'000.0));
        characters = static_cast<int>(std::clamp(multiplications / (row * ngrams * 40 + 1), 10.0, 400'000.0));
    }
};

// Cases 3 and 4 are rarely longer than the parts that a file is cut in for reading.
std::string file_of(Dice& dice, const Bounds& bounds) {
    switch (dice.between(0, 14)) {
        case 0:
            return separators_of(dice);
        case 1:
            return word_of(dice, 10);
        case 2:
            return repeated("one ", dice.log_between(1, std::min(3000, bounds.tokens)));
        case 3:
            return text_of(dice, 10) +
                   repeated("\U0001f600", std::min(dice.one_in(20) ? 400'000 : 3'000, bounds.characters)) +
                   text_of(dice, 10);
        case 4:
            return repeated(text_of(dice, 10), std::min(dice.one_in(20) ? 20'000 : 20, bounds.tokens / 10));
        default:
            return text_of(dice, dice.log_between(1, std::min(3000, bounds.tokens)));
    }
}

void damage(Dice& dice, std::string& text) {
    const auto at = static_cast<std::size_t>(dice.bits() % (text.size() + 1));
    text.insert(at, dice.one_of(kNotUtf8));
}

std::string instructions_of(Dice& dice) {
    std::vector<std::string> names = {""};
    for (const Kernel* const* kernel = usable_kernels(); *kernel != nullptr; ++kernel) names.push_back((*kernel)->name);
    return names[static_cast<std::size_t>(dice.between(0, static_cast<int>(names.size()) - 1))];
}

// One value that no job can be trained with.
void spoil(Dice& dice, Settings& settings) {
    switch (dice.between(0, 8)) {
        case 0:
            settings.dim = 0;
            break;
        case 1:
            settings.window_size = 0;
            break;
        case 2:
            settings.negative_samples = 0;
            break;
        case 3:
            settings.batch_size = dice.one_in(2) ? 0 : 33;
            break;
        case 4:
            settings.epochs = 0;
            break;
        case 5:
            settings.learning_rate = dice.one_of(std::array<double, 3>{0.0, -1.0, NAN});
            break;
        case 6:
            settings.sampling_threshold = dice.one_of(std::array<double, 2>{0.0, NAN});
            break;
        case 7:
            settings.threads = 0;
            break;
        default:
            settings.instructions = "none";
    }
}

Settings settings_of(Dice& dice) {
    Settings settings = {};
    settings.mode = dice.one_of(std::array<Mode, 3>{Mode::kBatchSkipgram, Mode::kSkipgram, Mode::kCbow});
    settings.dim = dice.one_in(40) ? 2048 : dice.log_between(1, 100);
    settings.window_size = dice.one_in(20) ? 1000 : dice.log_between(1, 12);
    settings.negative_samples = dice.one_in(40) ? 100 : dice.log_between(1, 12);
    settings.batch_size = dice.between(1, 32);
    settings.epochs = dice.between(1, 3);
    settings.learning_rate = dice.one_in(10) ? dice.log_between(1.0, 1e38) : dice.log_between(1e-6, 0.5);
    settings.sampling_threshold = dice.log_between(1e-6, 1.0);
    settings.subwords = settings.mode != Mode::kBatchSkipgram && dice.one_in(2);
    settings.min_char = dice.log_between(1, 6);
    settings.max_char = dice.one_in(20) ? 100 : settings.min_char + dice.between(0, 4);
    settings.buckets = static_cast<std::uint32_t>(dice.log_between(1, 200'000));
    settings.seed = dice.bits() >> 33;
    settings.threads = dice.one_in(10) ? 32 : dice.between(1, 4);
    settings.instructions = instructions_of(dice);
    if (dice.one_in(30)) spoil(dice, settings);
    return settings;
}

}  // namespace

Scenario::Scenario(std::uint64_t seed, std::uint64_t number) {
    Dice dice(seed, number);
    settings = settings_of(dice);
    const Bounds bounds(settings);
    for (int count = dice.one_in(3) ? dice.between(0, 4) : 1; count > 0; --count) files.push_back(file_of(dice, bounds));
    if (!files.empty() && dice.one_in(15)) damage(dice, files[dice.bits() % files.size()]);
    missing_file = dice.one_in(100);
    ranks = dice.one_in(5) ? dice.between(2, 5) : 1;
    settings.rank = dice.between(0, ranks - 1);
    min_count = dice.one_in(3) ? dice.between(0, 10) : 1;
    reading_threads = dice.one_in(10) ? 32 : dice.between(1, 4);
    // Each call starts its threads anew: portions of a few words are for short texts.
    portion = dice.one_in(2) ? INT64_MAX / 2 : dice.log_between(dice.one_in(20) && bounds.tokens < 3000 ? 1 : 200, 10'000);
}

std::string Scenario::description() const {
    std::ostringstream text;
    text << "files";
    for (const std::string& file : files) text << " " << file.size();
    if (missing_file) text << " missing";
    text << " bytes, min_count " << min_count << ", reading_threads " << reading_threads << ", mode " << name_of(settings.mode) << ", dim " << settings.dim << ", window_size "
         << settings.window_size << ", negative_samples " << settings.negative_samples << ", batch_size "
         << settings.batch_size << ", epochs " << settings.epochs << ", learning_rate " << settings.learning_rate
         << ", sampling_threshold " << settings.sampling_threshold << ", seed " << settings.seed << ", threads "
         << settings.threads << ", rank " << settings.rank << " of " << ranks << ", instructions "
         << (settings.instructions.empty() ? "fastest" : settings.instructions) << ", portion " << portion;
    if (settings.subwords) {
        text << ", subwords " << settings.min_char << " to " << settings.max_char << " in " << settings.buckets
             << " buckets";
    }
    return text.str();
}

}  // namespace blazingtext::fuzz
