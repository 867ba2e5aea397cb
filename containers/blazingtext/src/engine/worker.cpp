#include "worker.h"

#include <algorithm>

#include "prefetch.h"

namespace blazingtext {
namespace {

// word2vec.c's longest sentence; longer ones are cut.
constexpr std::size_t kLongestSentence = 1000;
// How often a negative sample that hit the positive word is drawn again; after that it is left out.
constexpr int kDraws = 16;
// Pairs of skip-gram that make a step together. A whole window is a quarter faster, but its vectors score 0.006 less.
constexpr std::size_t kPairsAtOnce = 2;

constexpr std::size_t in_blocks(std::size_t targets) {
    return (targets + kTargetBlock - 1) / kTargetBlock * kTargetBlock;
}

// All pairs of a step are taken at the same point, so a row that is in too many of them overshoots and training
// diverges. For how many pairs a negative sample stands at most, and in how many windows a word is on average at most.
constexpr std::size_t kPairsOfNegative = 32;
constexpr std::size_t kWindowsOfWord = 7;

// How many negative samples neighbouring windows share: so many that each of their words, which are in several steps,
// meets about four times negative_samples different ones, and that none stands for too many pairs.
std::size_t shared_negatives(std::size_t negative_samples, std::size_t centres, std::size_t words, std::size_t pairs) {
    return std::max({negative_samples, 4 * negative_samples * centres / words,
                     negative_samples * pairs / kPairsOfNegative});
}

// Pairs of one step at most, with what its last block lacks.
std::size_t most_pairs(const Settings& settings) {
    const auto negatives = static_cast<std::size_t>(settings.negative_samples);
    switch (settings.mode) {
        case Mode::kBatchSkipgram: {
            const auto centres = static_cast<std::size_t>(settings.batch_size);
            const std::size_t pairs = centres * 2 * static_cast<std::size_t>(settings.window_size);
            return kMostInputs * (in_blocks(centres) + in_blocks(shared_negatives(negatives, 1, 1, pairs)) + 1);
        }
        case Mode::kSkipgram:
            return in_blocks(2 * static_cast<std::size_t>(settings.window_size) * (1 + negatives));
        case Mode::kCbow:
            break;
    }
    return in_blocks(1 + negatives);
}

}  // namespace

Worker::Worker(Trainer& trainer, std::uint64_t stream, std::size_t private_rows)
    : trainer_(trainer),
      settings_(trainer.settings_),
      private_rows_(private_rows, static_cast<std::size_t>(settings_.dim)),
      random_(settings_.seed, stream),
      sentence_(kLongestSentence + 1),
      places_(kLongestSentence + 1),
      windows_(kLongestSentence + 1),
      vectors_(3, static_cast<std::size_t>(settings_.dim)),
      weights_(1, most_pairs(settings_)),
      scratch_(1, most_pairs(settings_)) {}

void Worker::begin(const Trainer::Block& block) {
    block_ = block;
    position_ = counted_ = sentence_end_ = block.begin;
    size_ = next_ = 0;
}

void Worker::resume(const Trainer::Place& place) {
    begin(place.rest);
    random_ = Random(place.random);
}

void Worker::begin_round() {
    private_rows_.copy(trainer_.input_, trainer_.output_);
    trained_in_round_ = 0;
}

void Worker::advance(std::size_t tokens) {
    const std::size_t limit = position_ + tokens;
    while (position_ < limit) {
        if (position_ == sentence_end_) read_sentence();
        // A step that begins before the limit is done whole, and counted as its words' turn comes.
        while (next_ < size_ && places_[next_] < limit) {
            std::swap(step_, next_step_);
            next_ = step_.centre + step_.centres;
            if (next_ < size_) draw_up(next_step_, next_);
            train(step_);
        }
        position_ = std::min(limit, sentence_end_);
    }
    count_progress();
}

void Worker::count_progress() {
    trainer_.words_done_.fetch_add(static_cast<std::int64_t>(position_ - counted_), std::memory_order_relaxed);
    trained_in_round_ += position_ - counted_;
    counted_ = position_;
}

void Worker::read_sentence() {
    count_progress();
    learning_rate_ = trainer_.learning_rate();

    const Tokens& tokens = trainer_.corpus_.tokens();
    const std::uint32_t* const keep = trainer_.keep_.data();
    const auto widest = static_cast<std::uint64_t>(settings_.window_size);
    std::size_t size = 0;
    std::size_t at = position_;
    while (at < block_.end && size < kLongestSentence) {
        const std::uint32_t token = tokens[at];
        const std::uint32_t word = token & ~Tokens::kEndOfSentence;
        if (word != Tokens::kUnknown) {
            // Written whether it is kept or not: a branch that is taken at random costs more.
            const std::uint64_t random = random_.next();
            sentence_[size] = word;
            places_[size] = at;
            windows_[size] = 1 + static_cast<std::uint32_t>((random & 0xFFFFFFFF) * widest >> 32);
            size += static_cast<std::size_t>(static_cast<std::uint32_t>(random >> 32) <= keep[word]);
        }
        ++at;
        if ((token & Tokens::kEndOfSentence) != 0) break;
    }
    sentence_end_ = at;
    size_ = size;
    next_ = 0;
    fetched_ = 0;
    if (size == 0) return;
    draw_up(next_step_, 0);
    fetch_rest();
}

// As many words on either side as drawn from 1 to window_size: near words count more.
std::size_t Worker::window_begin(std::size_t centre) const {
    return centre - std::min<std::size_t>(centre, windows_[centre]);
}

std::size_t Worker::window_end(std::size_t centre) const { return std::min(centre + windows_[centre] + 1, size_); }

float* Worker::input_row(std::size_t row) {
    return row < private_rows_.count() ? private_rows_.input(row) : trainer_.input_.row(row);
}

float* Worker::output_row(std::size_t row) {
    return row < private_rows_.count() ? private_rows_.output(row) : trainer_.output_.row(row);
}

// Says which rows are to be fetched for it, too.
void Worker::draw_up(Step& step, std::size_t centre) {
    rows_to_fetch_.clear();
    step.centre = centre;
    step.centres = 1;
    step.begin = window_begin(centre);
    step.end = window_end(centre);
    step.targets.clear();
    switch (settings_.mode) {
        case Mode::kBatchSkipgram:
            draw_up_batch(step);
            break;
        case Mode::kSkipgram:
            draw_up_skipgram(step);
            break;
        case Mode::kCbow:
            draw_up_cbow(step);
            break;
    }
    for (const std::uint32_t word : step.targets) rows_to_fetch_.push_back(output_row(word));
    to_fetch_ = {rows_to_fetch_.data(), rows_to_fetch_.size(), trainer_.output_.stride()};
}

void Worker::fetch_rest() {
    for (; to_fetch_.count > 0; --to_fetch_.count) prefetch(*to_fetch_.rows++, to_fetch_.stride);
}

// Up to batch_size neighbouring windows, none with the centre of another, and negative samples that all of them share.
void Worker::draw_up_batch(Step& step) {
    const auto batch = static_cast<std::size_t>(settings_.batch_size);
    const std::size_t most = std::min({batch, trainer_.most_at_once_, size_ - step.centre});
    std::size_t pairs = step.end - step.begin - 1;
    step.targets.push_back(sentence_[step.centre]);
    for (; step.centres < most; ++step.centres) {
        const std::size_t centre = step.centre + step.centres;
        const std::size_t begin = std::min(step.begin, window_begin(centre));
        const std::size_t end = std::max(step.end, window_end(centre));
        const std::size_t more = pairs + window_end(centre) - window_begin(centre) - 1;
        const bool repeated =
            std::find(step.targets.begin(), step.targets.end(), sentence_[centre]) != step.targets.end();
        if (repeated || more > kWindowsOfWord * (end - begin)) break;
        step.begin = begin;
        step.end = end;
        pairs = more;
        step.targets.push_back(sentence_[centre]);
    }
    const auto for_one = static_cast<std::size_t>(settings_.negative_samples);
    const std::size_t negatives = shared_negatives(for_one, step.centres, step.end - step.begin, pairs);
    for (std::size_t k = 0; k < in_blocks(negatives); ++k) step.targets.push_back(trainer_.negatives_.draw(random_));
    // The words that it shares with the step before have been fetched for that.
    for (std::size_t i = std::max(fetched_, step.begin); i < step.end; ++i) add_rows(sentence_[i], rows_to_fetch_);
    fetched_ = step.end;
}

void Worker::draw_up_skipgram(Step& step) {
    for (std::size_t i = step.begin; i < step.end; ++i) {
        if (i != step.centre) draw_negatives(sentence_[i], step.targets);
    }
    add_rows(sentence_[step.centre], rows_to_fetch_);
}

void Worker::draw_up_cbow(Step& step) {
    draw_negatives(sentence_[step.centre], step.targets);
    for (std::size_t i = step.begin; i < step.end; ++i) add_rows(sentence_[i], rows_to_fetch_);
}

// The positive word, and negative samples for it.
void Worker::draw_negatives(std::uint32_t positive, std::vector<std::uint32_t>& targets) {
    targets.push_back(positive);
    for (int k = 0; k < settings_.negative_samples; ++k) {
        std::uint32_t word = trainer_.negatives_.draw(random_);
        for (int draw = 1; word == positive && draw < kDraws; ++draw) word = trainer_.negatives_.draw(random_);
        targets.push_back(word);
    }
}

void Worker::add_rows(std::uint32_t word, std::vector<float*>& rows) {
    if (trainer_.subwords_.empty()) {
        rows.push_back(input_row(word));
        return;
    }
    for (const std::uint32_t* row = trainer_.subwords_.begin(word); row != trainer_.subwords_.end(word); ++row) {
        rows.push_back(input_row(*row));
    }
}

// The target's row, or zeros where a block is filled up.
float* Worker::target(const Step& step, std::size_t index) {
    return index < step.targets.size() ? output_row(step.targets[index]) : vectors_.row(2);
}

void Worker::check(bool finite) {
    if (!finite) trainer_.diverged_.store(true, std::memory_order_relaxed);
}

void Worker::train(const Step& step) {
    switch (settings_.mode) {
        case Mode::kBatchSkipgram:
            return train_batch(step);
        case Mode::kSkipgram:
            return train_skipgram(step);
        case Mode::kCbow:
            return train_cbow(step);
    }
}

// Inputs are the words of all windows, targets the centres and the negative samples that the windows share (Ji et al.
// 2016, "Parallelizing word2vec in shared and distributed memory"; Rengasamy et al. 2017, "Optimizing word2vec
// performance on multicore systems", share among windows): vector products become matrix products.
void Worker::train_batch(const Step& step) {
    const std::size_t inputs = trainer_.most_at_once_;
    for (std::size_t begin = step.begin; begin < step.end; begin += inputs) {
        const std::size_t end = std::min(begin + inputs, step.end);
        rows_.clear();
        for (std::size_t i = begin; i < end; ++i) rows_.push_back(input_row(sentence_[i]));
        set_blocks(step, begin, end);
        check(trainer_.kernel_.update(rows_.data(), rows_.size(), blocks_.data(), blocks_.size(),
                                      trainer_.output_.dim(), weights_.row(0), scratch_.row(0), to_fetch_));
    }
    fetch_rest();
}

// A word counts once as an input for each centre whose window it is in. The shared negative samples stand for
// negative_samples ones for each of these pairs, but not for those whose centre they hit.
void Worker::set_blocks(const Step& step, std::size_t begin, std::size_t end) {
    blocks_.clear();
    pairs_.assign(end - begin, 0);
    float* weights = weights_.row(0);
    for (std::size_t k = 0; k < step.centres; k += kTargetBlock) weights = add_centres(step, k, begin, end, weights);

    const std::size_t negatives = step.targets.size() - step.centres;
    const float share =
        learning_rate_ * static_cast<float>(settings_.negative_samples) / static_cast<float>(negatives);
    for (std::size_t t = step.centres; t < step.targets.size(); t += kTargetBlock) {
        blocks_.push_back(
            {{target(step, t), target(step, t + 1), target(step, t + 2), target(step, t + 3)}, 0, end - begin});
        for (std::size_t i = 0; i < pairs_.size(); ++i) {
            std::fill_n(weights + i * kTargetBlock, kTargetBlock, -share * static_cast<float>(pairs_[i]));
        }
        for (std::size_t k = 0; k < kTargetBlock; ++k) {
            const auto* const centres = step.targets.data();
            const auto* hit = std::find(centres, centres + step.centres, centres[t + k]);
            for (; hit != centres + step.centres; hit = std::find(hit + 1, centres + step.centres, centres[t + k])) {
                const std::size_t centre = step.centre + static_cast<std::size_t>(hit - centres);
                const std::size_t from = std::max(begin, window_begin(centre));
                for (std::size_t i = from; i < std::min(end, window_end(centre)); ++i) {
                    if (i != centre) weights[(i - begin) * kTargetBlock + k] += share;
                }
            }
        }
        weights += pairs_.size() * kTargetBlock;
    }
}

// Up to four centres as targets of the words in their windows; returns the end of the weights.
float* Worker::add_centres(const Step& step, std::size_t first, std::size_t begin, std::size_t end, float* weights) {
    TargetBlock block = {};
    block.begin = end;
    block.end = begin;
    std::int32_t windows[kTargetBlock] = {};
    for (std::size_t k = 0; k < kTargetBlock; ++k) {
        const bool filling = first + k >= step.centres;
        block.targets[k] = filling ? vectors_.row(2) : target(step, first + k);
        if (filling) continue;
        const std::size_t centre = step.centre + first + k;
        windows[k] = static_cast<std::int32_t>(windows_[centre]);
        block.begin = std::min(block.begin, std::max(begin, window_begin(centre)));
        block.end = std::max(block.end, std::min(end, window_end(centre)));
    }
    if (block.begin >= block.end) return weights;

    for (std::size_t i = block.begin; i < block.end; ++i, weights += kTargetBlock) {
        const auto distance = static_cast<std::int32_t>(i) - static_cast<std::int32_t>(step.centre + first);
        std::int32_t pairs = 0;
        for (std::int32_t k = 0; k < static_cast<std::int32_t>(kTargetBlock); ++k) {
            const std::int32_t reach = distance < k ? k - distance : distance - k;
            const bool pair = reach != 0 && reach <= windows[k];
            weights[k] = pair ? learning_rate_ : 0.0f;
            pairs += pair;
        }
        pairs_[i - begin] += pairs;
    }
    block.begin -= begin;
    block.end -= begin;
    blocks_.push_back(block);
    return weights;
}

// The input is the centre word, each word of its window a target with negative samples of its own.
void Worker::train_skipgram(const Step& step) {
    fetch_rest();
    if (step.targets.empty()) return;
    rows_.clear();
    add_rows(sentence_[step.centre], rows_);
    step_on_mean(step);
}

// The input is the mean of all rows of the window's words, the centre the target. Every row gets the whole step of the
// mean, as in word2vec.c and fastText.
void Worker::train_cbow(const Step& step) {
    fetch_rest();
    rows_.clear();
    for (std::size_t i = step.begin; i < step.end; ++i) {
        if (i != step.centre) add_rows(sentence_[i], rows_);
    }
    if (!rows_.empty()) step_on_mean(step);
}

// Steps of the rows' mean: each adds the same to all rows, and so to their mean, so that it is enough to step on the
// mean and to give the rows the sum of the steps in the end. A positive word is followed by its negative samples.
void Worker::step_on_mean(const Step& step) {
    const Kernel& kernel = trainer_.kernel_;
    const std::size_t dim = trainer_.output_.dim();
    float* input = rows_[0];
    if (rows_.size() > 1) {
        input = vectors_.row(0);
        kernel.mean(rows_.data(), rows_.size(), dim, input);
        std::copy_n(input, dim, vectors_.row(1));
    }
    const std::size_t pattern = 1 + static_cast<std::size_t>(settings_.negative_samples);
    float* const weights = weights_.row(0);
    for (std::size_t first = 0; first < step.targets.size(); first += kPairsAtOnce * pattern) {
        const std::size_t count = std::min(kPairsAtOnce * pattern, step.targets.size() - first);
        targets_.assign(in_blocks(count), vectors_.row(2));
        for (std::size_t t = 0; t < count; ++t) targets_[t] = target(step, first + t);
        std::fill_n(weights, padded(count), 0.0f);
        std::fill_n(weights, count, -learning_rate_);
        for (std::size_t t = 0; t < count; t += pattern) weights[t] = learning_rate_;
        check(kernel.update_one(input, targets_.data(), targets_.size(), dim, weights, scratch_.row(0)));
    }
    if (rows_.size() > 1) kernel.spread(rows_.data(), rows_.size(), dim, vectors_.row(1), vectors_.row(0));
}

}  // namespace blazingtext
