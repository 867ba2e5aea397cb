#include "class_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "class_worker.h"
#include "parallel.h"
#include "random.h"

namespace blazingtext {
namespace {

// Rows of examples that a thread trains before it takes a new learning rate and tells the others of its output matrix.
constexpr std::uint64_t kBlockRows = 512;
// But telling costs about as much as one and a half steps on the output matrix: where that is most of the work, a block
// has so many examples.
constexpr std::uint64_t kBlockExamples = 24;
// But every epoch has so many blocks for each thread, where there are so many examples.
constexpr std::uint64_t kBlocksOfThread = 32;
// Examples that a thread tests at a time.
constexpr std::size_t kTested = 256;
constexpr std::uint64_t kInitialStream = ~0ULL;

bool all_finite(const Matrix& matrix) {
    for (std::size_t i = 0; i < matrix.rows(); ++i) {
        const float* const row = matrix.row(i);
        if (!std::all_of(row, row + matrix.dim(), [](float x) { return std::isfinite(x); })) return false;
    }
    return true;
}

const ClassSettings& checked(const ClassSettings& settings, const Examples& examples, std::size_t labels) {
    if (examples.size() == 0) throw std::invalid_argument("there is no example to train on.");
    settings.check(labels);
    return settings;
}

void copy(const Matrix& from, Matrix& to) { std::copy_n(from.row(0), from.rows() * from.stride(), to.row(0)); }

}  // namespace

ClassLoss class_loss_of(const std::string& name) {
    if (name == "softmax") return ClassLoss::kSoftmax;
    if (name == "ova") return ClassLoss::kOneVsAll;
    if (name == "hs") return ClassLoss::kHierarchicalSoftmax;
    throw std::invalid_argument("loss=" + name + " is not known; it must be softmax, ova or hs.");
}

void ClassSettings::check(std::size_t labels) const {
    const auto require = [](bool holds, const char* message) {
        if (!holds) throw std::invalid_argument(message);
    };
    require(labels >= 1, "there must be at least one label.");
    require(dim >= 1, "dim must be at least 1.");
    require(epochs >= 1, "epochs must be at least 1.");
    require(learning_rate > 0 && std::isfinite(learning_rate), "learning_rate must be above 0 and finite.");
    require(threads >= 1, "threads must be at least 1.");
    require(label_weights.empty() || label_weights.size() == labels, "there must be a weight for each label.");
}

ClassTrainer::ClassTrainer(const Examples& examples, const std::vector<std::int64_t>& counts,
                           const ClassSettings& settings)
    : examples_(examples),
      settings_(checked(settings, examples, counts.size())),
      kernel_(choose_kernel(settings.instructions.c_str())),
      labels_(counts.size()),
      tree_(counts),
      input_(examples.matrix_rows(), static_cast<std::size_t>(settings.dim)),
      output_(labels_, static_cast<std::size_t>(settings.dim)),
      rows_in_all_(static_cast<std::int64_t>(examples.rows()) * settings.epochs) {
    parents_.resize(static_cast<std::size_t>(tree_.root()) + 1);
    for (std::int32_t node = tree_.labels(); node <= tree_.root(); ++node) {
        parents_[static_cast<std::size_t>(tree_.children(node).left)] = node;
        parents_[static_cast<std::size_t>(tree_.children(node).right)] = node;
    }
    // Work is counted in rows: a step passes through those of all labels, too.
    const std::uint64_t all_work = examples.rows() + examples.size() * labels_;
    const std::uint64_t most = std::clamp<std::uint64_t>(
        all_work / (kBlocksOfThread * static_cast<std::uint64_t>(settings.threads)), 1,
        std::max<std::uint64_t>(kBlockRows, kBlockExamples * labels_));
    for (std::uint32_t s = 0; s < examples.shards().size(); ++s) {
        const Examples::Shard& shard = examples.shards()[s];
        for (std::uint64_t begin = 0, end = 0; begin < shard.size(); begin = end) {
            const auto work = [&](std::uint64_t to) {
                return shard.row_begins[to] - shard.row_begins[begin] + (to - begin) * labels_;
            };
            while (end < shard.size() && (end == begin || work(end + 1) <= most)) ++end;
            blocks_.push_back(Block{s, begin, end});
        }
    }
    blocks_ = dealt(blocks_, static_cast<std::size_t>(settings.threads));
    initialise();
    for (int thread = 0; thread < settings.threads; ++thread) {
        workers_.push_back(std::make_unique<ClassWorker>(*this, static_cast<std::uint64_t>(thread)));
    }
}

ClassTrainer::~ClassTrainer() = default;

// The first block of each of so many parts, then the second of each, and so on. Examples that stand together are often
// alike, as phrases of one sentence; threads that train them at the same time all make the step that one would have
// made, and go too far. So they are in different parts at any time, as fastText's threads are.
std::vector<ClassTrainer::Block> ClassTrainer::dealt(const std::vector<Block>& blocks, std::size_t parts) {
    const std::size_t length = (blocks.size() + parts - 1) / parts;
    std::vector<Block> order;
    order.reserve(blocks.size());
    for (std::size_t first = 0; first < length; ++first) {
        for (std::size_t at = first; at < blocks.size(); at += length) order.push_back(blocks[at]);
    }
    return order;
}

// As in fastText, words begin evenly distributed in [-1/dim, 1/dim), and outputs as zeros. N-grams begin as zeros, too:
// all but a tenth a thread of fastText's do, and rare ones then say nothing where random numbers would say something.
void ClassTrainer::initialise() {
    const std::uint64_t seed = Random(settings_.seed, kInitialStream).next();
    const std::size_t dim = input_.dim();
    for (std::size_t index = 0; index < examples_.words(); ++index) {
        Random random(seed, index);
        float* const row = input_.row(index);
        for (std::size_t d = 0; d < dim; ++d) row[d] = random.symmetric() / static_cast<float>(dim);
    }
}

double ClassTrainer::progress() const {
    return static_cast<double>(rows_done_.load(std::memory_order_relaxed)) / static_cast<double>(rows_in_all_);
}

float ClassTrainer::learning_rate() const {
    return static_cast<float>(settings_.learning_rate * std::max(1.0 - progress(), 0.0));
}

bool ClassTrainer::train(std::int64_t examples) {
    const auto blocks = static_cast<std::int64_t>(blocks_.size());
    const std::int64_t end_of_epoch = (next_block_ / blocks + 1) * blocks;
    if (next_block_ >= blocks * settings_.epochs) return true;
    std::int64_t last = next_block_;
    for (std::int64_t found = 0; last < end_of_epoch && found < std::max<std::int64_t>(examples, 1); ++last) {
        const Block& block = blocks_[static_cast<std::size_t>(last % blocks)];
        found += static_cast<std::int64_t>(block.end - block.begin);
    }
    std::atomic<std::int64_t> next{next_block_};
    in_parallel(settings_.threads, [&](int thread) {
        for (std::int64_t i = next++; i < last && !diverged_.load(std::memory_order_relaxed); i = next++) {
            workers_[static_cast<std::size_t>(thread)]->train(blocks_[static_cast<std::size_t>(i % blocks)]);
        }
    });
    next_block_ = last;
    if (diverged_) throw std::domain_error("the vectors have grown beyond all bounds; lower learning_rate.");
    return last == end_of_epoch;
}

std::uint32_t ClassTrainer::best_leaf(const float* hidden) const {
    // The most probable path; others are followed only while they may still be more probable.
    std::uint32_t best = 0;
    float best_score = -std::numeric_limits<float>::infinity();
    std::vector<std::pair<std::int32_t, float>> open{{tree_.root(), 0.0f}};
    alignas(kRowAlignment) float score[kRowPadding] = {};
    while (!open.empty()) {
        const auto [node, so_far] = open.back();
        open.pop_back();
        if (so_far <= best_score) continue;
        if (node < tree_.labels()) {
            best = static_cast<std::uint32_t>(node);
            best_score = so_far;
            continue;
        }
        const PaddedRows one = {const_cast<float*>(output_.row(static_cast<std::size_t>(node - tree_.labels()))),
                                output_.stride(), output_.dim()};
        kernel_.products_of(one, 1, hidden, score);
        kernel_.sigmoid_of(score, 1);
        const float left = so_far + std::log(1.0f - score[0] + 1e-5f);
        const float right = so_far + std::log(score[0] + 1e-5f);
        const LabelTree::Children& children = tree_.children(node);
        if (left < right) {
            open.insert(open.end(), {{children.left, left}, {children.right, right}});
        } else {
            open.insert(open.end(), {{children.right, right}, {children.left, left}});
        }
    }
    return best;
}

std::uint32_t ClassTrainer::best_label(const std::uint32_t* rows, std::size_t count, Matrix& scratch) const {
    kernel_.mean_of(input_rows(), rows, count, scratch.row(0));
    if (settings_.loss == ClassLoss::kHierarchicalSoftmax) return best_leaf(scratch.row(0));
    const PaddedRows output = {const_cast<float*>(output_.row(0)), output_.stride(), output_.dim()};
    float* const scores = scratch.row(1);
    kernel_.products_of(output, labels_, scratch.row(0), scores);
    return static_cast<std::uint32_t>(std::max_element(scores, scores + labels_) - scores);
}

std::int64_t ClassTrainer::correct(const Examples& examples, int threads) const {
    std::atomic<std::int64_t> found{0};
    for (const Examples::Shard& shard : examples.shards()) {
        std::atomic<std::size_t> next{0};
        in_parallel(threads, [&](int) {
            Matrix scratch(2, std::max(output_.dim(), labels_ + kRowPadding));
            std::int64_t right = 0;
            for (std::size_t begin = next.fetch_add(kTested); begin < shard.size(); begin = next.fetch_add(kTested)) {
                for (std::size_t i = begin; i < std::min(begin + kTested, shard.size()); ++i) {
                    const std::uint32_t label = best_label(shard.rows.data() + shard.row_begins[i],
                                                           shard.row_begins[i + 1] - shard.row_begins[i], scratch);
                    const auto first = shard.labels.begin() + static_cast<std::ptrdiff_t>(shard.label_begins[i]);
                    const auto last = shard.labels.begin() + static_cast<std::ptrdiff_t>(shard.label_begins[i + 1]);
                    right += std::find(first, last, label) != last;
                }
            }
            found += right;
        });
    }
    return found;
}

void ClassTrainer::keep_weights() {
    if (!kept_input_) {
        kept_input_ = std::make_unique<Matrix>(input_.rows(), input_.dim());
        kept_output_ = std::make_unique<Matrix>(output_.rows(), output_.dim());
    }
    copy(input_, *kept_input_);
    copy(output_, *kept_output_);
}

void ClassTrainer::restore_weights() {
    if (!kept_input_) throw std::invalid_argument("no weights were kept.");
    copy(*kept_input_, input_);
    copy(*kept_output_, output_);
}

void ClassTrainer::check_finite() const {
    if (!all_finite(input_) || !all_finite(output_)) {
        throw std::domain_error("the vectors have grown beyond all bounds; lower learning_rate.");
    }
}

}  // namespace blazingtext
