#include "model_file.h"

#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace blazingtext {
namespace {

constexpr std::int32_t kMagic = 793712314;
constexpr std::int32_t kOldest = 11;
constexpr std::int32_t kNewest = 12;
constexpr std::size_t kHeaderBytes = 92;

// Of a word or label: what fastText's tree of labels takes for infinite.
constexpr std::int64_t kMostOccurrences = 1'000'000'000'000'000;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

// a * b, or the largest number when that is too large: no file is so long.
std::uint64_t times(std::uint64_t a, std::uint64_t b) { return a != 0 && b > kMost / a ? kMost : a * b; }

std::string shape(std::uint64_t rows, std::uint64_t columns) {
    return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

std::string count_of(std::uint64_t number) { return number == kMost ? "too many" : std::to_string(number); }

}  // namespace

// Reads a mapped file from its start; `offset_` is where it stands.
class ModelFile::Reader {
public:
    explicit Reader(ModelFile& model) : model_(model), file_(model.file_) {}

    void read() {
        read_header();
        read_entries();
        read_kept_buckets();
        const std::uint64_t buckets = model_.kept_ ? model_.kept_->size() : model_.settings_.buckets;
        const bool quantised = read_flag("input matrix");
        if (model_.kept_ && !quantised) refuse("hash buckets are pruned, but the input matrix is not quantised");
        model_.input_ = read_matrix("input matrix", words_ + buckets, quantised, false);
        if (model_.input_.rows() == 0) refuse("the model has neither words nor hash buckets");
        // fastText looks at the second flag only where the first is set.
        const bool output_quantised = read_flag("output matrix") && quantised;
        model_.output_ = read_matrix("output matrix", model_.supervised() ? labels_ : words_, output_quantised,
                                     quantised && !model_.supervised());
        if (offset_ != file_.size()) {
            refuse(std::to_string(file_.size() - offset_) + " bytes follow the end of the model");
        }
    }

private:
    void read_header() {
        if (file_.size() < kHeaderBytes) {
            throw FormatError(file_.path() + " is cut short at offset " + std::to_string(file_.size()) +
                              ": the header has " + std::to_string(kHeaderBytes) + " bytes.");
        }
        ModelSettings& settings = model_.settings_;
        if (take<std::int32_t>() != kMagic) refuse("this is no fastText model (wrong magic number)", 0);
        model_.version_ = take<std::int32_t>();
        if (model_.version_ < kOldest || model_.version_ > kNewest) {
            refuse("the format's version is " + std::to_string(model_.version_) + "; it must be 11 or 12", 4);
        }
        for (int* value : {&settings.dim, &settings.window_size, &settings.epochs, &settings.min_count,
                           &settings.negative_samples, &settings.word_ngrams}) {
            *value = take<std::int32_t>();
        }
        const auto loss = take<std::int32_t>();
        const auto architecture = take<std::int32_t>();
        const auto buckets = take<std::int32_t>();
        settings.min_char = take<std::int32_t>();
        settings.max_char = take<std::int32_t>();
        take<std::int32_t>();  // how often the learning rate was changed
        settings.sampling_threshold = take<double>();
        entries_ = take<std::int32_t>();
        const auto words = take<std::int32_t>();
        const auto labels = take<std::int32_t>();
        model_.tokens_ = take<std::int64_t>();
        pruned_ = take<std::int64_t>();

        if (loss < 1 || loss > 4) {
            refuse("the loss is " + std::to_string(loss) + "; it must be 1 (hs), 2 (ns), 3 (softmax) or 4 (ova)", 32);
        }
        if (architecture < 1 || architecture > 3) {
            refuse("the architecture is " + std::to_string(architecture) +
                       "; it must be 1 (cbow), 2 (skipgram) or 3 (supervised)", 36);
        }
        settings.loss = static_cast<Loss>(loss);
        settings.architecture = static_cast<Architecture>(architecture);
        if (settings.dim < 1) refuse("the vectors have " + std::to_string(settings.dim) + " dimensions", 8);
        // Classifiers of version 11 say 3 to 6 characters, but were trained without.
        if (model_.version_ == kOldest && model_.supervised()) settings.max_char = 0;
        if (buckets < 0 || settings.min_char < 0 || settings.max_char < 0) {
            refuse("the n-grams make no sense (" + std::to_string(buckets) + " hash buckets, " +
                       std::to_string(settings.min_char) + " to " + std::to_string(settings.max_char) + " characters)",
                   40);
        }
        const bool hashes = settings.max_char > 0 || (model_.supervised() && settings.word_ngrams > 1);
        if (buckets == 0 && hashes) refuse("the model has n-grams, but no hash buckets for them", 40);
        if (words < 0 || labels < 0 || std::int64_t{words} + labels != entries_) {
            refuse("the sizes make no sense (" + std::to_string(entries_) + " entries, " + std::to_string(words) +
                       " words, " + std::to_string(labels) + " labels)", 64);
        }
        if (model_.supervised() && labels == 0) refuse("this is a classifier without labels", 72);
        settings.buckets = static_cast<std::uint32_t>(buckets);
        words_ = static_cast<std::uint64_t>(words);
        labels_ = static_cast<std::uint64_t>(labels);
    }

    void read_entries() {
        const auto entries = words_ + labels_;
        if (entries > (file_.size() - offset_) / Dictionary::kTailBytes) {
            refuse("the file ends inside the dictionary, which has " + std::to_string(entries) + " entries");
        }
        std::vector<std::uint64_t> starts;
        starts.reserve(entries + 1);
        starts.push_back(offset_);
        for (std::uint64_t entry = 0; entry < entries; ++entry) {
            const char* const begin = file_.data() + offset_;
            const void* const end = std::memchr(begin, '\0', file_.size() - offset_);
            const std::size_t length =
                end == nullptr ? file_.size() : static_cast<std::size_t>(static_cast<const char*>(end) - begin);
            if (length + Dictionary::kTailBytes > file_.size() - offset_) {
                refuse("the file ends inside the dictionary, in entry " + std::to_string(entry) + " of " +
                       std::to_string(entries));
            }
            std::int64_t count;
            std::memcpy(&count, begin + length + 1, sizeof count);
            const char kind = begin[length + Dictionary::kTailBytes - 1];
            if (kind != (entry < words_ ? 0 : 1) || count < 0 || count >= kMostOccurrences) {
                refuse("entry " + std::to_string(entry) + " of the dictionary is damaged");
            }
            offset_ += length + Dictionary::kTailBytes;
            starts.push_back(offset_);
        }
        model_.dictionary_ = Dictionary(file_.data(), std::move(starts), words_);
    }

    void read_kept_buckets() {
        if (pruned_ < 0) return;
        const auto count = static_cast<std::uint64_t>(pruned_);
        const std::size_t begin = offset_;
        const char* const pairs = skip(times(count, 2 * sizeof(std::int32_t)), "list of hash buckets");
        KeptBuckets kept(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::uint32_t pair[2];  // signed in the file; what is negative is too large here
            std::memcpy(pair, pairs + i * sizeof pair, sizeof pair);
            if (pair[0] >= model_.settings_.buckets || pair[1] >= count || !kept.add({pair[0], pair[1]})) {
                refuse("the list of hash buckets is damaged", begin + i * sizeof pair);
            }
        }
        model_.kept_ = std::move(kept);
    }

    bool read_flag(const char* before) {
        const auto flag = static_cast<unsigned char>(*skip(1, before));
        if (flag > 1) {
            refuse("the flag before the " + std::string(before) + " is " + std::to_string(flag) + "; it must be 0 or 1",
                   offset_ - 1);
        }
        return flag == 1;
    }

    StoredMatrix read_matrix(const char* which, std::uint64_t rows, bool quantised, bool may_be_empty) {
        const auto columns = static_cast<std::uint64_t>(model_.settings_.dim);
        if (quantised) return read_quantised(which, rows, columns);
        const std::size_t begin = offset_;
        const auto found_rows = take<std::uint64_t>(which);
        const auto found_columns = take<std::uint64_t>(which);
        if (may_be_empty && found_rows == 0) rows = 0;
        check_shape(which, begin, found_rows, found_columns, rows, columns);
        return StoredMatrix(skip(times(times(rows, columns), sizeof(float)), which), rows, columns);
    }

    StoredMatrix read_quantised(const char* which, std::uint64_t rows, std::uint64_t columns) {
        const std::string what = "quantised " + std::string(which);
        const std::size_t begin = offset_;
        const bool apart = *skip(1, what) != 0;
        const auto found_rows = take<std::uint64_t>(what);
        const auto found_columns = take<std::uint64_t>(what);
        const auto codes = take<std::int32_t>(what);
        check_shape(which, begin + 1, found_rows, found_columns, rows, columns);
        if (codes < 0 || (rows == 0 ? codes != 0 : static_cast<std::uint64_t>(codes) % rows != 0)) {
            refuse("the quantised matrix's sizes make no sense (" + std::to_string(rows) + " rows, " +
                       std::to_string(codes) + " codes)", begin);
        }
        if (rows == 0) refuse("the quantised matrix has no rows", begin);
        const auto count = static_cast<std::uint64_t>(codes);
        const char* const all_codes = skip(count, what);
        const StoredQuantiser directions = read_quantiser(columns, count / rows);
        if (!apart) return StoredMatrix(all_codes, rows, directions, nullptr, nullptr);
        const char* const length_codes = skip(rows, what);
        return StoredMatrix(all_codes, rows, directions, length_codes, read_quantiser(1, 1).centroids);
    }

    StoredQuantiser read_quantiser(std::uint64_t dim, std::uint64_t blocks) {
        const std::size_t begin = offset_;
        std::int64_t found[4];
        for (std::int64_t& number : found) number = take<std::int32_t>("quantiser");
        const std::int64_t block = found[2];
        const auto columns = static_cast<std::int64_t>(dim);
        if (found[0] != columns || found[1] != static_cast<std::int64_t>(blocks) || block < 1 ||
            (columns - 1) / block + 1 != found[1] || found[3] != (columns - 1) % block + 1) {
            refuse("the quantiser's shape (" + std::to_string(found[0]) + ", " + std::to_string(found[1]) + ", " +
                       std::to_string(found[2]) + ", " + std::to_string(found[3]) + ") does not fit " +
                       std::to_string(dim) + " dimensions in " + std::to_string(blocks) + " blocks", begin);
        }
        const char* const centroids = skip(times(dim, StoredQuantiser::kCentroids * sizeof(float)), "quantiser");
        return StoredQuantiser{centroids, dim, static_cast<std::size_t>(block), blocks};
    }

    void check_shape(const char* which, std::size_t at, std::uint64_t found_rows, std::uint64_t found_columns,
                     std::uint64_t rows, std::uint64_t columns) const {
        if (found_rows != rows || found_columns != columns) {
            refuse("the " + std::string(which) + " has shape " + shape(found_rows, found_columns) + "; it must be " +
                       shape(rows, columns), at);
        }
    }

    template <typename Number>
    Number take(const std::string& what = "header") {
        Number number;
        std::memcpy(&number, skip(sizeof number, what), sizeof number);
        return number;
    }

    // The next `length` bytes, which are part of `what`.
    const char* skip(std::uint64_t length, const std::string& what) {
        const std::uint64_t left = file_.size() - offset_;
        if (length > left) {
            refuse("the file ends inside the " + what + ", " + count_of(length == kMost ? kMost : length - left) +
                       " bytes early", file_.size());
        }
        const char* const begin = file_.data() + offset_;
        offset_ += length;
        return begin;
    }

    [[noreturn]] void refuse(const std::string& reason) const { refuse(reason, offset_); }
    [[noreturn]] void refuse(const std::string& reason, std::size_t at) const {
        throw FormatError(file_.path() + " cannot be read: at offset " + std::to_string(at) + ", " + reason + ".");
    }

    ModelFile& model_;
    const MappedFile& file_;
    std::size_t offset_ = 0;
    std::int64_t entries_ = 0;
    std::int64_t pruned_ = 0;
    std::uint64_t words_ = 0;
    std::uint64_t labels_ = 0;
};

ModelFile::ModelFile(std::string path, const std::string& instructions)
    : kernel_(choose_kernel(instructions.c_str())), file_(std::move(path)) {
    Reader(*this).read();
}

void ModelFile::hold_input() {
    if (input_.quantised() || held_) return;
    const std::size_t bytes = input_.rows() * input_.dim() * sizeof(float);
    held_ = std::make_unique<Pages>(bytes, Pages::Size::kLarge);
    std::memcpy(held_->data(), input_.data(), bytes);
    input_ = input_.at(held_->data());
}

}  // namespace blazingtext
