// Random model files, most of them damaged, read and used under sanitizers:
//     fuzz_models [--cases N] [--seed S] [--first K]
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "classifier.h"
#include "composer.h"
#include "plain_request.h"
#include "random.h"
#include "subwords.h"
#include "text_tokens.h"

extern "C" const char* __asan_default_options() { return "handle_abort=1"; }

namespace blazingtext::fuzz {
namespace {

constexpr std::size_t kPage = 4096;

class Dice {
public:
    Dice(std::uint64_t seed, std::uint64_t number) : random_(seed, number) {}

    bool one_in(int cases) { return below(cases) == 0; }
    int below(int end) { return static_cast<int>(random_.below(static_cast<std::uint32_t>(end))); }
    int between(int low, int high) { return low + below(high - low + 1); }

private:
    Random random_;
};

// The bytes of a sound model.
class Writer {
public:
    explicit Writer(Dice& dice) : dice_(dice) {}

    std::string model() {
        const bool supervised = dice_.one_in(2);
        const int words = dice_.between(1, 30);
        const int labels = supervised ? dice_.between(1, 12) : dice_.below(3);
        const int max_char = dice_.one_in(2) ? 0 : dice_.between(1, 5);
        const int buckets = dice_.between(1, 40);
        const bool quantised = dice_.one_in(2);
        const bool pruned = quantised && dice_.one_in(2);
        const int kept = pruned ? dice_.below(buckets + 1) : buckets;
        dim_ = dice_.between(1, 40);

        put_all({793712314, dice_.between(11, 12), dim_, 5, 1, 1, 5, dice_.between(0, 4), dice_.between(1, 4),
                 supervised ? 3 : dice_.between(1, 2), buckets, dice_.below(4), max_char, 100});
        put(1e-4);
        put_all({words + labels, words, labels});
        put(std::int64_t{1000});
        put(std::int64_t{pruned ? kept : -1});
        const std::size_t first = bytes_.size();
        for (int entry = 0; entry < words + labels; ++entry) {
            bytes_ += entry < words ? "w" + std::to_string(entry) : "__label__" + std::to_string(entry);
            bytes_ += '\0';
            put(std::int64_t{dice_.below(100)});
            bytes_ += static_cast<char>(entry < words ? 0 : 1);
        }
        for (int place = 0; pruned && place < kept; ++place) put_all({place + (buckets - kept), place});
        bytes_ += static_cast<char>(quantised);
        put_matrix(words + kept, quantised);
        const bool output_quantised = quantised && dice_.one_in(2);
        bytes_ += static_cast<char>(output_quantised);
        put_matrix(supervised ? labels : words, output_quantised);
        // What reads beyond the file reads beyond its last page.
        if (dice_.one_in(2)) bytes_.insert(first, kPage - bytes_.size() % kPage, 'x');
        return bytes_;
    }

private:
    template <typename Number>
    void put(Number number) {
        char bytes[sizeof number];
        std::memcpy(bytes, &number, sizeof number);
        bytes_.append(bytes, sizeof number);
    }
    void put_all(std::initializer_list<int> numbers) {
        for (const int number : numbers) put(std::int32_t{number});
    }
    void put_floats(int count) {
        for (int i = 0; i < count; ++i) put(static_cast<float>(dice_.between(-100, 100)) / 50.0f);
    }
    void put_bytes(int count) {
        for (int i = 0; i < count; ++i) bytes_ += static_cast<char>(dice_.below(256));
    }
    void put_quantiser(int dim, int block) {
        put_all({dim, (dim - 1) / block + 1, block, (dim - 1) % block + 1});
        put_floats(256 * dim);
    }
    void put_matrix(int rows, bool quantised) {
        const int block = dice_.between(1, 5);
        const int codes = rows * ((dim_ - 1) / block + 1);
        const bool apart = dice_.one_in(2);
        if (quantised) bytes_ += static_cast<char>(apart);
        put(std::int64_t{rows});
        put(std::int64_t{dim_});
        if (!quantised) return put_floats(rows * dim_);
        put(std::int32_t{codes});
        put_bytes(codes);
        put_quantiser(dim_, block);
        if (!apart) return;
        put_bytes(rows);
        put_quantiser(1, 1);
    }

    Dice& dice_;
    std::string bytes_;
    int dim_ = 0;
};

void damage(std::string& bytes, Dice& dice) {
    constexpr char kBytes[] = {0, 1, 0x7F, -0x80, -1};
    const std::size_t within = dice.one_in(2) ? 100 : bytes.size();
    for (int times = dice.below(4); times > 0; --times) {
        const auto at = static_cast<std::size_t>(dice.below(static_cast<int>(within)));
        bytes[at] = dice.one_in(2) ? kBytes[dice.below(5)] : static_cast<char>(dice.below(256));
    }
    if (dice.one_in(4)) bytes.resize(static_cast<std::size_t>(dice.below(static_cast<int>(bytes.size()))));
}

void use(const ModelFile& model) {
    const std::vector<std::string_view> texts = {"w1 w2 w3 unseen", "", "__label__31 w4 </s> w5", "\xff\xc3 w6",
                                                 "w7\nw8"};
    Composer composer(model);
    std::vector<float> vector(model.input().dim());
    for (const std::string_view text : texts) {
        composer.word(text, vector.data());
        composer.sentence(text, vector.data());
    }
    std::vector<float> all(model.dictionary().words() * model.input().dim());
    unit_vectors(model, 1, all.data());
    if (!model.supervised()) return;
    try {
        Classifier(model).predict(texts, {1, 2, 3, 1000, 1}, 0.0f);
    } catch (const std::domain_error&) {  // damaged weights
    }
}

// A request of which some bytes are others, or missing.
void read_request(Dice& dice) {
    std::string request = "{\"instances\": [\"w1 w2\", \"\", \"" + std::string(100, 'a') +
                          " caf\xc3\xa9 abcdefgh abcdefghijkl abcdefghijklm </s>\"]}";
    damage(request, dice);
    // A copy of just this size: whatever is read beyond it is found.
    const std::vector<char> bytes(request.begin(), request.end());
    const auto texts = plain_texts({bytes.data(), bytes.size()});
    TextTokens tokens(choose_kernel(dice.one_in(2) ? "" : "portable"));
    tokens.split({bytes.data(), bytes.size()});
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const TextToken token = tokens[i];
        const TextToken expected = TextToken::of(token.text);
        if (token.hash != expected.hash) throw std::logic_error("a token's hash is wrong");
        if (!(token.key == expected.key)) throw std::logic_error("a token's key is wrong");
    }
    if (!texts) return;
    for (const std::string_view text : *texts) {
        if (text.find_first_of("\"\\") != std::string_view::npos) throw std::logic_error("a text is not plain");
    }
}

std::string current;  // what to tell when the sanitizers end the process

void tell_current() { std::cerr << current << std::flush; }

// Returns whether what had to be read was.
bool run_case(std::uint64_t seed, std::uint64_t number, const std::filesystem::path& path, std::uint64_t& read) {
    current = "repeat with: fuzz_models --cases 1 --seed " + std::to_string(seed) + " --first " +
              std::to_string(number) + "\n";
    Dice dice(seed, number);
    std::string bytes = Writer(dice).model();
    read_request(dice);
    const bool sound = dice.one_in(5);
    if (!sound) damage(bytes, dice);
    std::ofstream(path, std::ios::binary) << bytes;
    try {
        const char* const instructions[] = {"", "portable"};
        const ModelFile model(path, instructions[dice.below(2)]);
        ++read;
        use(model);
    } catch (const FormatError& error) {
        if (sound) std::cerr << error.what() << "\n" << current;
        return !sound && std::string(error.what()).find("at offset ") != std::string::npos;
    }
    return true;
}

}  // namespace
}  // namespace blazingtext::fuzz

int main(int count, char** texts) {
    using namespace blazingtext::fuzz;
    std::uint64_t cases = 1000;
    std::uint64_t seed = 1;
    std::uint64_t first = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string name = texts[i];
        std::uint64_t& value = name == "--cases" ? cases : name == "--seed" ? seed : first;
        value = std::strtoull(texts[i + 1], nullptr, 10);
    }
    std::string path = (std::filesystem::temp_directory_path() / "fuzz-model-XXXXXX").string();
    const int descriptor = ::mkstemp(path.data());
    if (descriptor < 0) return 1;
    ::close(descriptor);
    __sanitizer_set_death_callback(tell_current);
    std::uint64_t read = 0;
    bool held = true;
    for (std::uint64_t number = first; held && number < first + cases; ++number) {
        held = run_case(seed, number, path, read);
    }
    std::filesystem::remove(path);
    std::cout << cases << " cases, " << read << " read, the others refused\n";
    return held ? 0 : 1;
}
