#include "checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "corpus.h"
#include "files.h"
#include "trainer.h"
#include "utf8.h"

namespace blazingtext::fuzz {
namespace {

namespace fs = std::filesystem;

void require(bool holds, const std::string& what) {
    if (!holds) throw Violation(what);
}

std::vector<std::string> written(const Scenario& scenario, const fs::path& folder) {
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < scenario.files.size(); ++i) {
        paths.push_back(folder / ("corpus-" + std::to_string(i)));
        std::ofstream file(paths.back(), std::ios::binary);
        file << scenario.files[i];
        require(file.good(), "the corpus could not be written");
    }
    if (scenario.missing_file) paths.push_back(folder / "missing");
    return paths;
}

bool is_text(const Scenario& scenario) {
    return std::all_of(scenario.files.begin(), scenario.files.end(), [](const std::string& content) {
        return first_not_utf8(content.data(), content.size()) == content.size();
    });
}

// A corpus as the simplest code reads it.
struct PlainCorpus {
    std::vector<std::pair<std::string, std::int64_t>> vocabulary;
    std::vector<std::uint32_t> tokens;

    explicit PlainCorpus(const Scenario& scenario) {
        std::vector<std::pair<std::string, bool>> read;  // each token, and whether it ends a sentence
        for (const std::string& content : scenario.files) {
            for (std::size_t at = 0; at < content.size();) {
                const std::size_t end =
                    std::min(content.find_first_of(std::string_view(" \t\n\r\v\f\0", 7), at), content.size());
                if (end > at) read.emplace_back(content.substr(at, end - at), false);
                if (!read.empty() && (end == content.size() || content[end] == '\n')) read.back().second = true;
                at = end + 1;
            }
            if (!read.empty()) read.back().second = true;
        }
        std::unordered_map<std::string, std::int64_t> counts;
        for (const auto& [word, ends] : read) {
            if (++counts[word] == 1) vocabulary.emplace_back(word, 0);
        }
        for (auto& [word, count] : vocabulary) count = counts[word];
        vocabulary.erase(std::remove_if(vocabulary.begin(), vocabulary.end(),
                                        [&](const auto& entry) { return entry.second < scenario.min_count; }),
                         vocabulary.end());
        std::stable_sort(vocabulary.begin(), vocabulary.end(),
                         [](const auto& a, const auto& b) { return a.second > b.second; });
        std::unordered_map<std::string, std::uint32_t> ids;
        for (const auto& [word, count] : vocabulary) ids.emplace(word, static_cast<std::uint32_t>(ids.size()));
        for (const auto& [word, ends] : read) {
            const auto found = ids.find(word);
            tokens.push_back((found == ids.end() ? Tokens::kUnknown : found->second) |
                             (ends ? Tokens::kEndOfSentence : 0));
        }
    }
};

// Each rank's corpus.
std::vector<Corpus> read(const Scenario& scenario, const std::vector<std::string>& paths) {
    std::vector<Corpus> corpora;
    if (scenario.ranks == 1) {
        corpora.emplace_back(paths, scenario.min_count, scenario.reading_threads);
        return corpora;
    }
    std::vector<std::unique_ptr<CorpusPart>> parts;
    std::vector<std::string> counts;
    for (int rank = 0; rank < scenario.ranks; ++rank) {
        parts.push_back(std::make_unique<CorpusPart>(paths, scenario.reading_threads, rank, scenario.ranks));
        counts.push_back(parts.back()->counts());
    }
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
        std::vector<std::string_view> others(counts.begin(), counts.end());
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(rank));
        corpora.emplace_back(std::move(*parts[rank]), scenario.min_count, scenario.reading_threads, others);
    }
    return corpora;
}

void check_corpus(const Corpus& corpus, const PlainCorpus& plain) {
    const Vocabulary& vocabulary = corpus.vocabulary();
    require(vocabulary.size() == plain.vocabulary.size(), "the vocabulary's size is wrong");
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
        require(vocabulary.word(id) == plain.vocabulary[id].first, "a word is wrong");
        require(vocabulary.counts()[id] == plain.vocabulary[id].second, "a count is wrong");
    }
    require(corpus.tokens_read() == plain.tokens.size(), "the number of tokens is wrong");
}

std::vector<std::uint32_t> tokens_of(const Corpus& corpus) {
    std::vector<std::uint32_t> tokens(corpus.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = corpus.tokens()[i];
    return tokens;
}

// How often each token occurs, whether or not it ends a sentence.
std::unordered_map<std::uint32_t, std::size_t> histogram(const std::vector<std::uint32_t>& tokens) {
    std::unordered_map<std::uint32_t, std::size_t> counts;
    for (const std::uint32_t token : tokens) ++counts[token & ~Tokens::kEndOfSentence];
    return counts;
}

// No corpus here has so many words that its tokens would be four bytes wide.
void check_widths(const std::vector<std::uint32_t>& plain) {
    for (const std::size_t ids : {std::size_t{1} << 22, std::size_t{1} << 24}) {
        Tokens tokens(plain.size(), ids);
        for (std::size_t i = plain.size(); i-- > 0;) tokens.set(i, plain[i]);
        for (std::size_t i = 0; i < plain.size(); ++i) require(tokens[i] == plain[i], "a token changes when it is kept");
        const std::unique_ptr<std::uint32_t[]> taken = tokens.take();
        require(std::equal(plain.begin(), plain.end(), taken.get()), "a token changes when it is taken");
    }
}

// Ranks take stretches of the corpus in turn, and a sentence that is cut there has several ends.
void check_tokens(const std::vector<Corpus>& corpora, const PlainCorpus& plain) {
    if (corpora.size() == 1) {
        require(corpora[0].size() == plain.tokens.size(), "tokens are missing");
        require(tokens_of(corpora[0]) == plain.tokens, "a token is wrong");
        check_widths(plain.tokens);
        return;
    }
    std::unordered_map<std::uint32_t, std::size_t> found;
    for (const Corpus& corpus : corpora) {
        for (const auto& [token, count] : histogram(tokens_of(corpus))) found[token] += count;
    }
    require(found == histogram(plain.tokens), "the ranks' tokens are not the corpus's");
}

std::vector<float> word_vectors(const Trainer& trainer) {
    const std::size_t words = trainer.vocabulary().size();
    std::vector<float> vectors(words * trainer.input().dim());
    trainer.word_vectors(0, words, vectors.data());
    return vectors;
}

void check_finite(const Matrix& matrix, const char* name) {
    for (std::size_t i = 0; i < matrix.rows(); ++i) {
        const float* row = matrix.row(i);
        require(std::all_of(row, row + matrix.dim(), [](float x) { return std::isfinite(x); }),
                std::string(name) + " row " + std::to_string(i) + " is not finite");
        require(std::all_of(row + matrix.dim(), row + matrix.stride(), [](float x) { return x == 0.0f; }),
                std::string(name) + " row " + std::to_string(i) + " is not padded with zeros");
    }
}

void train(Trainer& trainer, std::int64_t portion) {
    std::int64_t words = trainer.words_done();
    for (std::int64_t done = 1; done > 0; words += done) done = trainer.train(portion);
    require(words == trainer.total_words() && trainer.words_done() == words, "not all words were trained");
}

void copy(const Matrix& from, Matrix& to) {
    for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.stride(), to.row(i));
}

// With one thread, a trainer that goes on where another was paused gives the vectors of one that was not.
void check_resumption(const Scenario& scenario, const Corpus& corpus, const std::vector<float>& vectors) {
    Trainer first(corpus, scenario.settings);
    first.train(first.total_words() / 2);
    const std::vector<std::uint64_t> paused = first.pause();
    Trainer second(corpus, scenario.settings);
    copy(first.input(), second.input());
    copy(first.output(), second.output());
    second.resume(paused);
    train(second, INT64_MAX / 2);
    require(vectors == word_vectors(second), "a resumed job gave other vectors");
}

void check_text(const Trainer& trainer, const std::vector<float>& vectors, const fs::path& path) {
    const Vocabulary& words = trainer.vocabulary();
    const std::size_t dim = trainer.input().dim();
    trainer.write_text_vectors(path);
    std::ifstream file(path, std::ios::binary);
    std::string line;
    std::getline(file, line);
    require(line == std::to_string(words.size()) + " " + std::to_string(dim), "the header of the text is wrong");
    for (std::size_t id = 0; id < words.size(); ++id) {
        std::getline(file, line);
        require(line.compare(0, words.word(id).size() + 1, std::string(words.word(id)) + " ") == 0, "a word of the text is wrong");
        const char* at = line.c_str() + words.word(id).size();
        for (std::size_t j = 0; j < dim; ++j) {
            char* end = nullptr;
            const float number = std::strtof(at, &end);
            require(end != at && std::memcmp(&number, &vectors[id * dim + j], sizeof number) == 0,
                    "a number of the text is wrong");
            at = end;
        }
        require(*at == '\0', "a line of the text is too long");
    }
    require(!std::getline(file, line), "the text has too many lines");
}

// Whether vectors must stay within bounds. Where there are few buckets, a row stands for many n-grams of a window and
// takes the steps of all of them; a step of batch_skipgram adds up what whole windows change.
bool is_usual(const Settings& settings) {
    if (settings.learning_rate * settings.negative_samples > 0.5) return false;
    return !settings.subwords || (settings.learning_rate <= 0.05 && settings.buckets >= 1000);
}

Outcome train_and_write(const Scenario& scenario, const Corpus& corpus, const fs::path& folder) {
    std::optional<Trainer> trainer;
    try {
        trainer.emplace(corpus, scenario.settings);
    } catch (const std::invalid_argument& error) {
        if (corpus.vocabulary().size() == 0) return Outcome::kNoWords;
        return Outcome::kBadSetting;
    }
    try {
        train(*trainer, scenario.portion);
        trainer->check_finite();
    } catch (const std::domain_error&) {
        require(!is_usual(scenario.settings), "the vectors grew beyond all bounds at a usual learning rate");
        return Outcome::kDiverged;
    }
    check_finite(trainer->input(), "input");
    check_finite(trainer->output(), "output");
    const std::vector<float> vectors = word_vectors(*trainer);
    require(std::all_of(vectors.begin(), vectors.end(), [](float x) { return std::isfinite(x); }),
            "a word's vector is not finite");
    check_text(*trainer, vectors, folder / "vectors.txt");
    if (scenario.settings.threads == 1) check_resumption(scenario, corpus, vectors);
    return Outcome::kTrained;
}

Outcome outcome_of(const Scenario& scenario, const fs::path& folder) {
    std::vector<Corpus> corpora;
    try {
        corpora = read(scenario, written(scenario, folder));
    } catch (const FileError&) {
        require(scenario.missing_file, "a file that is there could not be read");
        return Outcome::kNoFile;
    } catch (const std::invalid_argument&) {
        require(!is_text(scenario), "text was refused");
        return Outcome::kNotText;
    }
    require(!scenario.missing_file, "a missing file was read");
    require(is_text(scenario), "what is not UTF-8 was read");
    const PlainCorpus plain(scenario);
    for (const Corpus& corpus : corpora) check_corpus(corpus, plain);
    check_tokens(corpora, plain);
    return train_and_write(scenario, corpora[static_cast<std::size_t>(scenario.settings.rank)], folder);
}

}  // namespace

Outcome run(const Scenario& scenario, const fs::path& folder) {
    const Outcome outcome = outcome_of(scenario, folder);
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) fs::remove(entry);
    return outcome;
}

}  // namespace blazingtext::fuzz
