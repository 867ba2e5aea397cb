// fastText's .bin and .ftz formats, versions 11 and 12, read by mapping the file.
//
// Layout, little-endian (fastText src/fasttext.cc, src/args.cc, src/dictionary.cc, src/densematrix.cc,
// src/quantmatrix.cc, src/productquantizer.cc): a header; the dictionary's entries (text, NUL, count, kind); where hash
// buckets were pruned, those that were kept and their places; a byte "quantised" and the input matrix; a byte "output
// quantised" and the output matrix. Nothing is aligned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "dictionary.h"
#include "files.h"
#include "pages.h"
#include "stored_matrix.h"

namespace blazingtext {

// The file is no model that can be used. The message gives the file, the offset and the reason.
class FormatError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

enum class Architecture { kCbow = 1, kSkipgram = 2, kSupervised = 3 };
enum class Loss { kHierarchicalSoftmax = 1, kNegativeSampling = 2, kSoftmax = 3, kOneVsAll = 4 };

// How the model was trained, as the header tells it.
struct ModelSettings {
    int dim;
    int window_size;
    int epochs;
    int min_count;
    int negative_samples;
    int word_ngrams;
    Loss loss;
    Architecture architecture;
    std::uint32_t buckets;
    int min_char;
    int max_char;  // 0: without character n-grams
    double sampling_threshold;
};

// A mapped model. Every size was held against the file's length before anything was allocated by it, and every row that
// can be asked for by way of the dictionary, of hash buckets or of labels is there.
class ModelFile {
public:
    // instructions: of the kernel that works on its rows, "" for the fastest.
    // Throws FormatError, FileError; std::invalid_argument for instructions that cannot be used here.
    explicit ModelFile(std::string path, const std::string& instructions = "");

    const std::string& path() const { return file_.path(); }
    int version() const { return version_; }
    const ModelSettings& settings() const { return settings_; }
    bool supervised() const { return settings_.architecture == Architecture::kSupervised; }

    const Kernel& kernel() const { return kernel_; }

    // Tokens of the corpus it was trained on.
    std::int64_t tokens() const { return tokens_; }

    const Dictionary& dictionary() const { return dictionary_; }

    // Where hash buckets were pruned, those that were kept.
    const std::optional<KeptBuckets>& kept_buckets() const { return kept_; }

    // The row of `input` of a hash bucket below settings().buckets, Dictionary::kNone when it was pruned.
    std::uint32_t bucket_row(std::uint32_t bucket) const {
        if (kept_) bucket = kept_->find(bucket);
        return bucket == Dictionary::kNone ? bucket : static_cast<std::uint32_t>(dictionary_.words()) + bucket;
    }

    // A row for each word, then one for each hash bucket.
    const StoredMatrix& input() const { return input_; }

    // Moves `input`, unless it is quantised, from the file to memory of this process, in large pages: a text's rows are
    // all over it, and to find where a small page lies takes longer than to read the row. Not while others use the model.
    // Throws std::bad_alloc.
    void hold_input();

    // A row for each label of a classifier, else one for each word; or none, if a quantised model was left without.
    const StoredMatrix& output() const { return output_; }

private:
    class Reader;

    const Kernel& kernel_;
    MappedFile file_;
    int version_ = 0;
    ModelSettings settings_ = {};
    std::int64_t tokens_ = 0;
    Dictionary dictionary_;
    std::optional<KeptBuckets> kept_;
    std::unique_ptr<Pages> held_;  // the input's numbers, unless they are in the file
    StoredMatrix input_;
    StoredMatrix output_;
};

}  // namespace blazingtext
