#include "worker.h"

#include <algorithm>

namespace blazingtext {
namespace {

// word2vec.c's longest sentence; longer ones are cut.
constexpr std::size_t kLongestSentence = 1000;
// How often a negative sample that hit the positive word is drawn again; after that it is left out.
constexpr int kDraws = 16;

void prefetch(const float* row, std::size_t stride) {
    for (std::size_t d = 0; d < stride; d += kRowPadding) __builtin_prefetch(row + d, 1);
}

}  // namespace

Worker::Worker(Trainer& trainer, std::uint64_t stream)
    : trainer_(trainer),
      settings_(trainer.settings_),
      random_(settings_.seed, stream),
      vectors_(2, static_cast<std::size_t>(settings_.dim)),
      scratch_(1, kLargestBatch * (static_cast<std::size_t>(settings_.negative_samples) + 1) + kRowPadding) {
    sentence_.reserve(kLongestSentence);
    places_.reserve(kLongestSentence);
}

void Worker::begin(const Trainer::Block& block) {
    block_ = block;
    position_ = counted_ = sentence_end_ = block.begin;
    sentence_.clear();
    places_.clear();
    next_ = 0;
}

void Worker::advance(std::size_t tokens) {
    const std::size_t limit = position_ + tokens;
    while (position_ < limit) {
        if (position_ == sentence_end_) read_sentence();
        if (next_ < sentence_.size() && places_[next_] < limit) {
            train_centre(next_);
            position_ = places_[next_] + 1;
            ++next_;
        } else {
            position_ = std::min(limit, sentence_end_);
        }
    }
    count_progress();
}

void Worker::count_progress() {
    trainer_.words_done_.fetch_add(static_cast<std::int64_t>(position_ - counted_), std::memory_order_relaxed);
    counted_ = position_;
}

void Worker::read_sentence() {
    count_progress();
    learning_rate_ = trainer_.learning_rate();

    const std::uint32_t* const tokens = trainer_.corpus_.tokens();
    sentence_.clear();
    places_.clear();
    next_ = 0;
    std::size_t at = position_;
    while (at < block_.end && sentence_.size() < kLongestSentence) {
        const std::uint32_t token = tokens[at++];
        const std::uint32_t word = token & ~Corpus::kEndOfSentence;
        if (word != Corpus::kUnknown) {
            const std::uint32_t keep = trainer_.keep_[word];
            if (keep == ~0U || static_cast<std::uint32_t>(random_.next() >> 32) < keep) {
                sentence_.push_back(word);
                places_.push_back(at - 1);
            }
        }
        if ((token & Corpus::kEndOfSentence) != 0) break;
    }
    sentence_end_ = at;
    if (settings_.mode == Mode::kBatchSkipgram && !sentence_.empty()) draw_negatives(sentence_[0], next_negatives_);
}

void Worker::train_centre(std::size_t centre) {
    switch (settings_.mode) {
        case Mode::kBatchSkipgram:
            return train_batches(centre);
        case Mode::kSkipgram:
            return train_skipgram(centre);
        case Mode::kCbow:
            return train_cbow(centre);
    }
}

// The words around the centre, as many on either side as drawn from 1 to window_size: near words count more.
void Worker::collect_contexts(std::size_t centre) {
    const std::size_t window = 1 + random_.below(static_cast<std::uint32_t>(settings_.window_size));
    const std::size_t first = centre - std::min(centre, window);
    const std::size_t last = std::min(centre + window, sentence_.size() - 1);
    contexts_.clear();
    for (std::size_t i = first; i <= last; ++i) {
        if (i != centre) contexts_.push_back(sentence_[i]);
    }
}

void Worker::draw_negatives(std::uint32_t positive, std::vector<std::uint32_t>& drawn) {
    drawn.clear();
    for (int k = 0; k < settings_.negative_samples; ++k) {
        for (int draw = 0; draw < kDraws; ++draw) {
            const std::uint32_t word = trainer_.negatives_.draw(random_);
            if (word == positive) continue;
            drawn.push_back(word);
            break;
        }
    }
}

void Worker::set_targets(std::uint32_t positive, const std::vector<std::uint32_t>& negatives) {
    targets_.clear();
    targets_.push_back(trainer_.output_.row(positive));
    for (const std::uint32_t word : negatives) targets_.push_back(trainer_.output_.row(word));
}

void Worker::add_rows(std::uint32_t word) {
    if (trainer_.subwords_.empty()) {
        rows_.push_back(trainer_.input_.row(word));
        return;
    }
    for (const std::uint32_t* row = trainer_.subwords_.begin(word); row != trainer_.subwords_.end(word); ++row) {
        rows_.push_back(trainer_.input_.row(*row));
    }
}

void Worker::step(float* const* inputs, std::size_t count) {
    const bool finite = trainer_.kernel_.update(inputs, count, targets_.data(), targets_.size(),
                                                trainer_.output_.stride(), learning_rate_, scratch_.row(0));
    if (!finite) trainer_.diverged_.store(true, std::memory_order_relaxed);
}

// Inputs are the contexts, targets the centre and negative samples that all pairs of the window share (Ji et al. 2016,
// "Parallelizing word2vec in shared and distributed memory"): vector products become matrix products.
void Worker::train_batches(std::size_t centre) {
    collect_contexts(centre);
    negatives_.swap(next_negatives_);
    if (centre + 1 < sentence_.size()) {
        // The next window's rows travel to the cache while this one is worked on.
        const std::size_t stride = trainer_.output_.stride();
        draw_negatives(sentence_[centre + 1], next_negatives_);
        for (const std::uint32_t word : next_negatives_) prefetch(trainer_.output_.row(word), stride);
        prefetch(trainer_.output_.row(sentence_[centre + 1]), stride);
        const std::size_t entering = centre + 1 + static_cast<std::size_t>(settings_.window_size);
        if (entering < sentence_.size()) prefetch(trainer_.input_.row(sentence_[entering]), stride);
    }
    set_targets(sentence_[centre], negatives_);
    rows_.clear();
    for (const std::uint32_t word : contexts_) rows_.push_back(trainer_.input_.row(word));
    const auto batch = static_cast<std::size_t>(settings_.batch_size);
    for (std::size_t i = 0; i < rows_.size(); i += batch) step(rows_.data() + i, std::min(batch, rows_.size() - i));
}

// The input is the centre word, each context a target with negative samples of its own.
void Worker::train_skipgram(std::size_t centre) {
    collect_contexts(centre);
    rows_.clear();
    add_rows(sentence_[centre]);
    float* input = rows_[0];
    if (rows_.size() > 1) {
        // Each step adds the same to all rows of the word, and so to their mean: it is enough to step on the mean and
        // to give the rows the sum of the window's steps at its end.
        input = vectors_.row(0);
        trainer_.kernel_.mean(rows_.data(), rows_.size(), vectors_.stride(), input);
        std::copy_n(input, vectors_.stride(), vectors_.row(1));
    }
    for (const std::uint32_t context : contexts_) {
        draw_negatives(context, negatives_);
        set_targets(context, negatives_);
        step(&input, 1);
    }
    if (rows_.size() > 1) {
        trainer_.kernel_.spread(rows_.data(), rows_.size(), vectors_.stride(), vectors_.row(1), vectors_.row(0));
    }
}

// The input is the mean of all contexts' rows, the centre the target. Every row gets the whole step of the mean, as in
// word2vec.c and fastText.
void Worker::train_cbow(std::size_t centre) {
    collect_contexts(centre);
    if (contexts_.empty()) return;
    rows_.clear();
    for (const std::uint32_t context : contexts_) add_rows(context);
    draw_negatives(sentence_[centre], negatives_);
    set_targets(sentence_[centre], negatives_);
    float* input = vectors_.row(0);
    trainer_.kernel_.mean(rows_.data(), rows_.size(), vectors_.stride(), input);
    std::copy_n(input, vectors_.stride(), vectors_.row(1));
    step(&input, 1);
    trainer_.kernel_.spread(rows_.data(), rows_.size(), vectors_.stride(), vectors_.row(1), vectors_.row(0));
}

}  // namespace blazingtext
