#include "trainer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "parallel.h"
#include "private_rows.h"
#include "random.h"
#include "text_vectors.h"
#include "worker.h"

namespace blazingtext {
namespace {

// Tokens that a thread takes at a time from the corpus. Sentences are cut there, so blocks are much longer.
constexpr std::size_t kBlock = 16384;
// Tokens after which a thread asks whether there is more to do in this call.
constexpr std::int64_t kPortion = 1024;
// Rows that are averaged at a time.
constexpr std::size_t kRowsAtOnce = 8;
// How often a job's private rows become their mean, at least.
constexpr std::int64_t kAverages = 100;
// The learning rate falls to this share of where it began, as in word2vec.c.
constexpr double kLowestRate = 1e-4;
// The stream of random numbers for the input matrix; training threads count from 0.
constexpr std::uint64_t kInitialStream = ~0ULL;

constexpr char kNotPaused[] = "this is not where a trainer of the same corpus and settings was paused.";
constexpr char kDiverged[] = "the vectors have grown beyond all bounds; lower learning_rate.";

bool all_finite(const Matrix& matrix) {
    for (std::size_t i = 0; i < matrix.rows(); ++i) {
        const float* const row = matrix.row(i);
        if (!std::all_of(row, row + matrix.dim(), [](float x) { return std::isfinite(x); })) return false;
    }
    return true;
}

const Settings& checked(const Corpus& corpus, const Settings& settings) {
    const std::vector<std::int64_t>& counts = corpus.vocabulary().counts();
    if (counts.empty() || counts[0] == 0) {
        throw std::invalid_argument("the corpus holds no word that is frequent enough to be trained.");
    }
    settings.check();
    return settings;
}

Subwords subwords_of(const Corpus& corpus, const Settings& settings) {
    if (!settings.subwords) return Subwords();
    return Subwords(corpus.vocabulary(), settings.min_char, settings.max_char, settings.buckets);
}

}  // namespace

Trainer::Trainer(const Corpus& corpus, const Settings& settings)
    : corpus_(corpus),
      settings_(checked(corpus, settings)),
      kernel_(choose_kernel(settings.instructions.c_str())),
      negatives_(corpus.vocabulary().counts()),
      keep_(keep_probabilities(corpus.vocabulary().counts(), settings.sampling_threshold)),
      subwords_(subwords_of(corpus, settings)),
      input_(corpus.vocabulary().size() + subwords_.buckets().size(), static_cast<std::size_t>(settings.dim)),
      output_(corpus.vocabulary().size(), static_cast<std::size_t>(settings.dim)),
      total_words_(static_cast<std::int64_t>(corpus.size()) * settings.epochs),
      most_at_once_(most_words_at_once(corpus.vocabulary().counts(), keep_, settings.learning_rate)),
      blocks_per_epoch_(static_cast<std::int64_t>((corpus.size() + kBlock - 1) / kBlock)) {
    initialise();
    const std::vector<std::int64_t>& counts = corpus.vocabulary().counts();
    const std::size_t threads = std::min(static_cast<std::size_t>(settings.threads), most_threads(counts, keep_));
    // Measured for batch_skipgram; cbow moves a word's rows less often, and its mean_rho would fall by 0.02.
    const bool measured = settings.mode == Mode::kBatchSkipgram;
    // What narrow tokens spare: a job takes no more memory than tokens of four bytes and both matrices would.
    const std::size_t spared = corpus.size() * sizeof(std::uint32_t) - corpus.tokens().bytes();
    const std::size_t private_rows =
        measured ? PrivateRows::count(counts, settings.epochs, threads, input_.dim(), spared) : 0;
    for (std::size_t thread = 0; thread < threads; ++thread) {
        const auto stream = static_cast<std::uint64_t>(settings.rank) << 32 | static_cast<std::uint64_t>(thread);
        workers_.push_back(std::make_unique<Worker>(*this, stream, thread == 0 ? 0 : private_rows));
    }
}

Trainer::~Trainer() = default;

// Inputs begin evenly distributed in [-1/dim, 1/dim) as in fastText, outputs as zeros. Each row has a stream of its own
// and ranks do not matter: all hosts begin alike.
void Trainer::initialise() {
    const std::uint64_t seed = Random(settings_.seed, kInitialStream).next();
    const std::size_t dim = input_.dim();
    for (std::size_t index = 0; index < input_.rows(); ++index) {
        Random random(seed, index);
        float* row = input_.row(index);
        for (std::size_t d = 0; d < dim; ++d) row[d] = random.symmetric() / static_cast<float>(dim);
    }
}

double Trainer::progress() const {
    return total_words_ == 0 ? 1.0 : static_cast<double>(words_done()) / static_cast<double>(total_words_);
}

float Trainer::learning_rate() const {
    return static_cast<float>(settings_.learning_rate * std::max(1.0 - progress(), kLowestRate));
}

bool Trainer::take_block(Worker& worker) {
    if (next_left_behind_ < left_behind_.size()) {
        const std::size_t index = next_left_behind_++;
        if (index < left_behind_.size()) {
            worker.resume(left_behind_[index]);
            return true;
        }
    }
    if (blocks_per_epoch_ == 0) return false;
    const std::int64_t index = next_block_++;
    if (index / blocks_per_epoch_ >= settings_.epochs) return false;
    const std::size_t begin = static_cast<std::size_t>(index % blocks_per_epoch_) * kBlock;
    worker.begin({begin, std::min(begin + kBlock, corpus_.size())});
    return true;
}

// The tokens of the blocks that are handed out before this one, epochs counted one after the other.
std::int64_t Trainer::tokens_before(std::int64_t block) const {
    if (blocks_per_epoch_ == 0) return 0;
    const auto per_epoch = static_cast<std::int64_t>(corpus_.size());
    const std::int64_t within = block % blocks_per_epoch_ * static_cast<std::int64_t>(kBlock);
    return block / blocks_per_epoch_ * per_epoch + within;
}

void Trainer::train_with(Worker& worker, std::atomic<std::int64_t>& budget) {
    while (!diverged_.load(std::memory_order_relaxed) && budget.load(std::memory_order_relaxed) > 0) {
        if (worker.left() == 0) {
            if (!take_block(worker)) return;
        }
        const std::int64_t wanted = std::min(kPortion, static_cast<std::int64_t>(worker.left()));
        const std::int64_t got = std::min(wanted, budget.fetch_sub(wanted));
        if (got < wanted) budget.fetch_add(wanted - std::max<std::int64_t>(got, 0));
        if (got > 0) worker.advance(static_cast<std::size_t>(got));
    }
}

void Trainer::throw_if_diverged() const {
    if (diverged_) throw std::domain_error(kDiverged);
}

void Trainer::check_finite() const {
    if (!all_finite(input_) || !all_finite(output_)) throw std::domain_error(kDiverged);
}

// Work of all threads that changes rows.
template <class Work>
void Trainer::with_all_workers(Work work) {
    in_parallel(threads(), [&](int thread) {
        Worker& worker = *workers_[static_cast<std::size_t>(thread)];
        worker.begin_round();
        work(worker);
    });
    average_private_rows();
    throw_if_diverged();
}

void Trainer::average_private_rows() {
    const std::size_t rows = workers_.back()->private_rows().count();
    std::size_t trained = 0;
    for (const auto& worker : workers_) trained += worker->trained_in_round();
    if (rows == 0 || trained == 0) return;
    const auto share = [&](std::size_t worker) {
        return static_cast<float>(workers_[worker]->trained_in_round()) / static_cast<float>(trained);
    };
    in_parallel(threads(), [&](int thread) {
        const auto part = static_cast<std::size_t>(thread);
        const std::size_t last = rows * (part + 1) / workers_.size();
        // A few rows at a time, which stay in the cache until each thread's have been added.
        for (std::size_t begin = rows * part / workers_.size(); begin < last; begin += kRowsAtOnce) {
            const std::size_t end = std::min(begin + kRowsAtOnce, last);
            scale_rows(begin, end, share(0), input_);
            scale_rows(begin, end, share(0), output_);
            for (std::size_t i = 1; i < workers_.size(); ++i) {
                workers_[i]->private_rows().add_to(begin, end, share(i), input_, output_);
            }
        }
    });
}

std::int64_t Trainer::train(std::int64_t words) {
    const std::lock_guard<std::mutex> lock(training_);
    const std::int64_t most = std::max<std::int64_t>(1, total_words_ / kAverages);
    std::int64_t trained = 0;
    for (std::int64_t round = 1; round > 0 && trained < words; trained += round) {
        const std::int64_t before = words_done();
        std::atomic<std::int64_t> budget{std::min(words - trained, most)};
        with_all_workers([&](Worker& worker) { train_with(worker, budget); });
        round = words_done() - before;
    }
    return trained;
}

std::vector<std::uint64_t> Trainer::pause() {
    const std::lock_guard<std::mutex> lock(training_);
    with_all_workers([](Worker& worker) { worker.finish_sentence(); });

    std::vector<Place> places;
    for (const auto& worker : workers_) places.push_back(worker->place());
    for (std::size_t i = next_left_behind_; i < left_behind_.size(); ++i) places.push_back(left_behind_[i]);
    // Threads that found nothing left have counted on.
    const std::int64_t blocks = blocks_per_epoch_ * settings_.epochs;
    std::vector<std::uint64_t> paused{static_cast<std::uint64_t>(std::min<std::int64_t>(next_block_, blocks))};
    for (const Place& place : places) {
        paused.insert(paused.end(), {place.rest.begin, place.rest.end, place.random});
    }
    return paused;
}

void Trainer::resume(const std::vector<std::uint64_t>& paused) {
    const std::lock_guard<std::mutex> lock(training_);
    const auto blocks = static_cast<std::uint64_t>(blocks_per_epoch_ * settings_.epochs);
    if (paused.size() % 3 != 1 || paused[0] > blocks) throw std::invalid_argument(kNotPaused);
    std::vector<Place> places;
    for (std::size_t i = 1; i < paused.size(); i += 3) {
        places.push_back({{paused[i], paused[i + 1]}, paused[i + 2]});
        check(places.back());
    }
    next_block_ = static_cast<std::int64_t>(paused[0]);
    words_done_ = tokens_before(next_block_);
    for (const Place& place : places) words_done_ -= static_cast<std::int64_t>(place.rest.end - place.rest.begin);
    const std::size_t taken = std::min(places.size(), workers_.size());
    for (std::size_t i = 0; i < taken; ++i) workers_[i]->resume(places[i]);
    left_behind_.assign(places.begin() + static_cast<std::ptrdiff_t>(taken), places.end());
    next_left_behind_ = 0;
}

void Trainer::check(const Place& place) const {
    const bool idle = place.rest.begin == place.rest.end;
    const bool ours = place.rest.begin <= place.rest.end && place.rest.end <= corpus_.size();
    if (!idle && !ours) throw std::invalid_argument(kNotPaused);
}

void Trainer::word_vectors(std::size_t begin, std::size_t end, float* to) const {
    const std::size_t dim = input_.dim();
    Matrix mean(1, dim);
    std::vector<const float*> rows;
    for (auto word = static_cast<std::uint32_t>(begin); word < end; ++word, to += dim) {
        const float* vector = input_.row(word);
        if (!subwords_.empty()) {
            rows.clear();
            std::for_each(subwords_.begin(word), subwords_.end(word),
                          [&](std::uint32_t row) { rows.push_back(input_.row(row)); });
            kernel_.mean(rows.data(), rows.size(), mean.dim(), mean.row(0));
            vector = mean.row(0);
        }
        std::copy_n(vector, dim, to);
    }
}

void Trainer::write_text_vectors(const std::string& path) const {
    const Vocabulary& vocabulary = corpus_.vocabulary();
    const auto word = [&](std::size_t row) { return vocabulary.word(row); };
    const auto read = [&](std::size_t begin, std::size_t end, float* to) { word_vectors(begin, end, to); };
    blazingtext::write_text_vectors(path, {vocabulary.size(), input_.dim(), word, read}, settings_.threads);
}

}  // namespace blazingtext
