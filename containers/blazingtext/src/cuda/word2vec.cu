// Training of word vectors on one GPU. Compiled at run time for one job, whose settings are defined on the compiler's
// command line: MODE (0 batch_skipgram, 1 skipgram, 2 cbow), SUBWORDS (0 or 1), DIM, WINDOW, NEGATIVES, BATCH, and
// CHUNK, the tokens of the corpus that a thread samples.
//
// A block takes runs of neighbouring windows. What a window works on lies in shared memory: the input rows, the target
// rows, and one number for each pair of the two. A column of all rows belongs to one thread, so that loading, adding up
// and storing need no barrier; only the products run across the columns. In batch_skipgram and cbow without subwords an
// input row stays there for as long as it is in reach of the run's windows, and its changes go back at once ("lifetime
// reuse" of FULL-W2V, Randall, Allen and Ge, ICS 2021): of 2 WINDOW rows a window loads one.
//
// Changes are added to the matrices by atomicAdd, times the row's share (see gpu.py): plain stores would lose most
// changes of rows that several blocks hold at once, and whole ones would add up to too long a step.
//
// Random numbers are a hash of (seed, epoch, place in the corpus, number of the draw): what is drawn depends neither
// on the number of blocks nor on their order.

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int kBatchSkipgram = 0;
constexpr int kSkipgram = 1;
constexpr int kCbow = 2;

// As in corpus.h.
constexpr u32 kEndOfSentence = 0x80000000u;
constexpr u32 kUnknown = 0x7FFFFFFFu;
constexpr u32 kAlways = 0xFFFFFFFFu;
constexpr u32 kNone = 0xFFFFFFFFu;

constexpr int kRun = 64;          // windows that a block takes at a time
constexpr int kMostThreads = 256;
constexpr int kMostTargets = 16;  // their columns lie in registers
constexpr u32 kDraws = 16;        // how often a negative sample that hit the positive word is drawn again

// Draws of one place in the corpus.
constexpr int kDrawBits = 26;
constexpr u32 kKeepDraw = 0;
constexpr u32 kWindowDraw = 1;
constexpr u32 kFirstNegative = 2;

__host__ __device__ constexpr int least(int a, int b) { return a < b ? a : b; }
__host__ __device__ constexpr int most(int a, int b) { return a > b ? a : b; }

// Shared memory: 48 KiB, which every GPU gives without being asked, less 4 KiB for all but rows.
constexpr int kStride = DIM | 1;  // odd: threads that read one column of several rows meet different banks
constexpr int kRows = 11 * 1024 / kStride;
constexpr int kReach = 2 * WINDOW + 1;
constexpr int kWantedTargets = least(MODE == kSkipgram ? kMostTargets : NEGATIVES + 1, kMostTargets);
constexpr int kMeans = MODE == kBatchSkipgram ? 0 : 1;
constexpr bool kReuse = (MODE == kBatchSkipgram || (MODE == kCbow && !SUBWORDS)) &&
                        WINDOW <= 64 && 2 * (kReach + kMeans) + kWantedTargets <= kRows;
// Where a window's rows do not fit, batches are smaller than asked for, and targets are worked on in several parts.
constexpr int kTargets = kReuse ? kWantedTargets : least(kWantedTargets, kMeans ? kRows - 2 : most(1, kRows / 3));
constexpr int kBatch = kMeans ? 1 : least(least(BATCH, 2 * WINDOW), kReuse ? BATCH : (kRows - kTargets) / 2);
constexpr int kSlots = kReuse ? kReach + kMeans : kBatch;
constexpr int kMeanSlot = kSlots - 1;
// Words whose input rows a block holds at a time, and the pairs that change a copy of an input row and of a target row
// meanwhile, when windows are WINDOW + 1 contexts wide: the mean of what is drawn.
constexpr int kHeldInputs = kReuse ? kReach : MODE == kCbow ? WINDOW + 1 : kBatch;
constexpr int kPairsOfInput = (NEGATIVES + 1) * (kReuse || MODE == kSkipgram ? WINDOW + 1 : 1);
constexpr int kPairsOfTarget = kMeans ? 1 : least(kBatch, WINDOW + 1);
constexpr float kCurvature = 1.0f;

struct Job {
    const u32* words;    // those of the portion that are trained; the last of a sentence has kEndOfSentence set
    const int* places;   // theirs, in the portion
    int count;           // of them
    u64 position;        // of the portion, in the corpus
    u64 key;             // of the epoch's random numbers
    const uint2* alias;  // by word: the share of its place that is its own, in 2^-32, and whose the rest is
    u32 vocabulary;
    float alpha;         // the learning rate at the portion's begin,
    float slope;         // by how much it falls at each token,
    float lowest;        // and where that ends
    const long long* starts;  // with subwords: the rows of a word are rows[starts[word]] to rows[starts[word + 1] - 1]
    const u32* rows;
    float* input;
    float* output;
    const float* input_shares;
    const float* output_shares;
    int* diverged;
};

struct Tile {
    float x[kSlots][kStride];
    float change[kSlots][kStride];  // of x since it was loaded
    float y[kTargets][kStride];
    float partial[most(kBatch * kTargets, kMostThreads)];
    float gradients[kBatch * kTargets];
    u32 targets[kTargets];  // kNone where there is none
    int labels[kTargets];
};

// One centre: the words from `first` to `last` but itself are its contexts.
struct Window {
    int centre;
    int first;
    int last;
    float alpha;

    __device__ int contexts() const { return last - first; }
    __device__ int context(int i) const { return first + i + (first + i >= centre); }
};

// SplitMix64 (Steele, Lea and Flood 2014), as in random.h.
constexpr u64 kGolden = 0x9E3779B97F4A7C15ull;

__device__ inline u64 mixed(u64 z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

__device__ inline u64 key_of(u64 seed, u64 epoch) { return mixed(seed + kGolden) ^ mixed(~epoch + kGolden); }

__device__ inline u64 draw(u64 key, u64 position, u32 number) {
    return mixed(key + ((position << kDrawBits) + number + 1) * kGolden);
}

__device__ inline u32 below(u64 bits, u32 limit) { return static_cast<u32>(((bits >> 32) * limit) >> 32); }

__device__ inline u32 word_at(const Job& job, int index) { return job.words[index] & ~kEndOfSentence; }

// Walker's alias method, as in sampling.h.
__device__ u32 negative_sample(const Job& job, u64 position, u32 number, u32 positive) {
    for (u32 attempt = 0; attempt < kDraws; ++attempt) {
        const u64 bits = draw(job.key, position, kFirstNegative + number * kDraws + attempt);
        const u32 place = below(bits, job.vocabulary);
        const uint2 share = job.alias[place];
        const u32 word = static_cast<u32>(bits) <= share.x ? place : share.y;
        if (word != positive) return word;
    }
    return kNone;
}

__device__ Window window_of(const Job& job, int centre) {
    const int place = job.places[centre];
    const int width = 1 + static_cast<int>(below(draw(job.key, job.position + place, kWindowDraw), WINDOW));
    Window window = {centre, centre, centre, fmaxf(job.alpha - job.slope * static_cast<float>(place), job.lowest)};
    while (window.first > 0 && centre - window.first < width && !(job.words[window.first - 1] & kEndOfSentence)) {
        --window.first;
    }
    while (window.last + 1 < job.count && window.last - centre < width && !(job.words[window.last] & kEndOfSentence)) {
        ++window.last;
    }
    return window;
}

// Which slot holds the i-th input of a step.
struct Inputs {
    Window window;
    int begin;  // the context that is the first

    __device__ int operator()(int i) const {
        if (kMeans) return kMeanSlot;
        return kReuse ? window.context(begin + i) % kReach : i;
    }
};

// Rows are read past the first-level cache, which does not see what other blocks add.
__device__ inline float row_value(const float* matrix, u32 row, int d) {
    return __ldcg(matrix + static_cast<u64>(row) * DIM + d);
}

__device__ inline void add_to_row(float* matrix, const float* shares, u32 row, int d, float change) {
    atomicAdd(matrix + static_cast<u64>(row) * DIM + d, shares[row] * change);
}

__device__ void enter(Tile& tile, const Job& job, int slot, u32 row) {
    for (int d = threadIdx.x; d < DIM; d += blockDim.x) {
        tile.x[slot][d] = row_value(job.input, row, d);
        tile.change[slot][d] = 0.0f;
    }
}

__device__ void leave(const Tile& tile, const Job& job, int slot, u32 row) {
    for (int d = threadIdx.x; d < DIM; d += blockDim.x) {
        add_to_row(job.input, job.input_shares, row, d, tile.change[slot][d]);
    }
}

// The window's targets from number `first` on, as many as there is room for. In skipgram each context has negative
// samples of its own, in the other modes the centre has those of the window.
__device__ void load_targets(Tile& tile, const Job& job, const Window& window, int first, int total) {
    __syncthreads();
    const u64 position = job.position + job.places[window.centre];
    for (int t = threadIdx.x; t < kTargets; t += blockDim.x) {
        const int number = first + t;
        const int context = MODE == kSkipgram ? number / (NEGATIVES + 1) : 0;
        const int sample = number - context * (NEGATIVES + 1);
        u32 word = kNone;
        if (number < total) {
            word = word_at(job, MODE == kSkipgram ? window.context(context) : window.centre);
            if (sample > 0) word = negative_sample(job, position, context * NEGATIVES + sample - 1, word);
        }
        tile.targets[t] = word;
        tile.labels[t] = sample == 0;
    }
    __syncthreads();
    for (int d = threadIdx.x; d < DIM; d += blockDim.x) {
#pragma unroll
        for (int t = 0; t < kTargets; ++t) {
            tile.y[t][d] = tile.targets[t] == kNone ? 0.0f : row_value(job.output, tile.targets[t], d);
        }
    }
}

// partial[pair * parts + part]: the products of every input and target row, each added up by several threads.
__device__ void dot_products(Tile& tile, const Inputs& slot, int pairs, int parts) {
    for (int k = threadIdx.x; k < pairs * parts; k += blockDim.x) {
        const int pair = k / parts;
        const float* x = tile.x[slot(pair / kTargets)];
        const float* y = tile.y[pair % kTargets];
        float sum = 0.0f;
        for (int d = k % parts; d < DIM; d += parts) sum += x[d] * y[d];
        tile.partial[k] = sum;
    }
}

// eq. (4), Mikolov et al. 2013: g = alpha * (label - sigmoid(x . y))
__device__ void gradients_of(Tile& tile, const Job& job, float alpha, int pairs, int parts) {
    for (int pair = threadIdx.x; pair < pairs; pair += blockDim.x) {
        const int target = pair % kTargets;
        float product = 0.0f;
        for (int part = 0; part < parts; ++part) product += tile.partial[pair * parts + part];
        const bool finite = fabsf(product) < 1e30f;
        if (!finite) *job.diverged = 1;
        const float sigmoid = 1.0f / (1.0f + expf(-fminf(fmaxf(product, -30.0f), 30.0f)));
        const bool counts = finite && tile.targets[target] != kNone;
        tile.gradients[pair] = counts ? alpha * (static_cast<float>(tile.labels[target]) - sigmoid) : 0.0f;
    }
}

// One step for every pair of the first `count` inputs and the tile's targets, all with the values from before it:
// x += g y, y += g x.
__device__ void step(Tile& tile, const Job& job, float alpha, const Inputs& slot, int count) {
    const int pairs = count * kTargets;
    const int parts = most(1, static_cast<int>(blockDim.x) / pairs);
    __syncthreads();
    dot_products(tile, slot, pairs, parts);
    __syncthreads();
    gradients_of(tile, job, alpha, pairs, parts);
    __syncthreads();
    for (int d = threadIdx.x; d < DIM; d += blockDim.x) {
        float y[kTargets];
        float sum[kTargets];
#pragma unroll
        for (int t = 0; t < kTargets; ++t) {
            y[t] = tile.y[t][d];
            sum[t] = 0.0f;
        }
        for (int i = 0; i < count; ++i) {
            const int at = slot(i);
            const float x = tile.x[at][d];
            float change = 0.0f;
#pragma unroll
            for (int t = 0; t < kTargets; ++t) {
                const float g = tile.gradients[i * kTargets + t];
                change += g * y[t];
                sum[t] += g * x;
            }
            tile.x[at][d] = x + change;
            tile.change[at][d] += change;
        }
#pragma unroll
        for (int t = 0; t < kTargets; ++t) {
            if (tile.targets[t] != kNone) add_to_row(job.output, job.output_shares, tile.targets[t], d, sum[t]);
        }
    }
}

__device__ void step_on_all_targets(Tile& tile, const Job& job, const Inputs& slot, int count, int targets) {
    for (int first = 0; first < targets; first += kTargets) {
        load_targets(tile, job, slot.window, first, targets);
        step(tile, job, slot.window.alpha, slot, count);
    }
}

// Inputs are the contexts, targets the centre and the negative samples that all pairs of the window share.
__device__ void train_batches(Tile& tile, const Job& job, const Window& window) {
    for (int begin = 0; begin < window.contexts(); begin += kBatch) {
        const int count = least(kBatch, window.contexts() - begin);
        const Inputs slot = {window, begin};
        for (int i = 0; !kReuse && i < count; ++i) enter(tile, job, i, word_at(job, window.context(begin + i)));
        step_on_all_targets(tile, job, slot, count, NEGATIVES + 1);
        for (int i = 0; !kReuse && i < count; ++i) leave(tile, job, i, word_at(job, window.context(begin + i)));
    }
}

// Calls visit(row) for the rows of the input matrix that make up the word.
template <class Visit>
__device__ void for_rows(const Job& job, u32 word, Visit visit) {
    if constexpr (SUBWORDS) {
        for (long long i = job.starts[word]; i < job.starts[word + 1]; ++i) visit(job.rows[i]);
    } else {
        visit(word);
    }
}

// The words whose rows' mean is the input: the centre in skipgram, its contexts in cbow.
__device__ inline int input_words(const Window& window) { return MODE == kSkipgram ? 1 : window.contexts(); }
__device__ inline int input_word(const Window& window, int i) {
    return MODE == kSkipgram ? window.centre : window.context(i);
}

// The input is the mean of rows; every row gets the whole step of the mean, as in word2vec.c and fastText.
__device__ void train_mean(Tile& tile, const Job& job, const Window& window) {
    if (window.contexts() == 0) return;
    const int words = input_words(window);
    for (int d = threadIdx.x; d < DIM; d += blockDim.x) {
        float sum = 0.0f;
        int rows = 0;
        for (int i = 0; i < words; ++i) {
            const int at = input_word(window, i);
            if (kReuse) {
                sum += tile.x[at % kReach][d];
                ++rows;
            } else {
                for_rows(job, word_at(job, at), [&](u32 row) {
                    sum += row_value(job.input, row, d);
                    ++rows;
                });
            }
        }
        tile.x[kMeanSlot][d] = sum / static_cast<float>(rows);
        tile.change[kMeanSlot][d] = 0.0f;
    }
    const int targets = (MODE == kSkipgram ? window.contexts() : 1) * (NEGATIVES + 1);
    step_on_all_targets(tile, job, Inputs{window, 0}, 1, targets);
    for (int d = threadIdx.x; d < DIM; d += blockDim.x) {
        const float change = tile.change[kMeanSlot][d];
        for (int i = 0; i < words; ++i) {
            const int at = input_word(window, i);
            if (kReuse) {
                tile.x[at % kReach][d] += change;
                tile.change[at % kReach][d] += change;
            } else {
                for_rows(job, word_at(job, at),
                         [&](u32 row) { add_to_row(job.input, job.input_shares, row, d, change); });
            }
        }
    }
}

// The centres from `begin` to `end` - 1. The rows in reach of a centre are in the slots of their indices modulo kReach.
__device__ void train_run(Tile& tile, const Job& job, int begin, int end) {
    int held = most(0, begin - WINDOW);
    int next = held;
    for (int centre = begin; centre < end; ++centre) {
        if (kReuse) {
            for (; held < centre - WINDOW; ++held) leave(tile, job, held % kReach, word_at(job, held));
            const int reached = least(job.count, centre + WINDOW + 1);
            for (; next < reached; ++next) enter(tile, job, next % kReach, word_at(job, next));
        }
        const Window window = window_of(job, centre);
        if (MODE == kBatchSkipgram) {
            train_batches(tile, job, window);
        } else {
            train_mean(tile, job, window);
        }
    }
    if (kReuse) {
        for (; held < next; ++held) leave(tile, job, held % kReach, word_at(job, held));
    }
}

// Whether the token at `position` of the corpus is trained: known words are, frequent ones at random.
// keep: by word, the probability of keeping an occurrence in 2^-32; the largest means always.
__device__ inline bool is_kept(u32 token, const u32* keep, u64 key, u64 position) {
    const u32 word = token & ~kEndOfSentence;
    if (word == kUnknown) return false;
    return keep[word] == kAlways || static_cast<u32>(draw(key, position, kKeepDraw) >> 32) < keep[word];
}

// How many tokens of each chunk of a portion are trained. A thread takes a chunk.
extern "C" __global__ void count_words(const u32* tokens, int size, u64 position, u64 seed, u64 epoch, const u32* keep,
                                       int* counts) {
    const int chunk = blockIdx.x * blockDim.x + threadIdx.x;
    const u64 key = key_of(seed, epoch);
    int count = 0;
    for (int i = chunk * CHUNK; i < least(size, (chunk + 1) * CHUNK); ++i) {
        count += is_kept(tokens[i], keep, key, position + i);
    }
    if (chunk * CHUNK < size) counts[chunk] = count;
}

// Puts the trained words of a portion one after the other.
//   starts: by chunk, where its words begin; words: zeros at first; places: theirs, in the portion.
extern "C" __global__ void gather_words(const u32* tokens, int size, u64 position, u64 seed, u64 epoch,
                                        const u32* keep, const int* starts, u32* words, int* places) {
    const int chunk = blockIdx.x * blockDim.x + threadIdx.x;
    if (chunk * CHUNK >= size) return;
    const u64 key = key_of(seed, epoch);
    int next = starts[chunk];
    for (int i = chunk * CHUNK; i < least(size, (chunk + 1) * CHUNK); ++i) {
        if (is_kept(tokens[i], keep, key, position + i)) {
            atomicOr(words + next, tokens[i] & ~kEndOfSentence);
            places[next++] = i;
        }
        // The last token of a sentence may have been dropped, and all others in this chunk: the last word that was
        // kept ends the sentence then, perhaps one of another chunk.
        if ((tokens[i] & kEndOfSentence) && next > 0) atomicOr(words + next - 1, kEndOfSentence);
    }
}

// The share of its changes that each row takes: see the head of gpu.py.
//   frequencies: by row, of its word among all inputs or all targets; blocks: that train at a time.
extern "C" __global__ void set_shares(const float* frequencies, int rows, int of_inputs, int blocks, float alpha,
                                      float* shares) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    const float others = static_cast<float>(blocks - 1) * static_cast<float>(of_inputs ? kHeldInputs : kTargets);
    const float copies = 1.0f + others * frequencies[row];
    const float way = kCurvature * alpha * static_cast<float>(of_inputs ? kPairsOfInput : kPairsOfTarget);
    shares[row] = expm1f(-copies * way) / (copies * expm1f(-way));
}

// How many of the ascending numbers are below the limit.
__device__ inline int count_below(const int* numbers, int count, int limit) {
    int low = 0;
    while (low < count) {
        const int middle = low + (count - low) / 2;
        if (numbers[middle] < limit) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

// Trains the words of a portion whose places are from `begin` to `end` - 1.
extern "C" __global__ void __launch_bounds__(kMostThreads)
    train_words(const u32* words, const int* places, int count, int begin, int end, u64 position, u64 seed, u64 epoch,
                const uint2* alias, u32 vocabulary, float alpha, float slope, float lowest, const long long* starts,
                const u32* rows, float* input, float* output, const float* input_shares, const float* output_shares,
                int* diverged) {
    __shared__ Tile tile;
    const Job job = {words,  places, count, position, key_of(seed, epoch), alias,        vocabulary,    alpha,   slope,
                     lowest, starts, rows,  input,    output,              input_shares, output_shares, diverged};
    const int first = count_below(places, count, begin);
    const int last = count_below(places, count, end);
    for (int run = first + static_cast<int>(blockIdx.x) * kRun; run < last;
         run += static_cast<int>(gridDim.x) * kRun) {
        train_run(tile, job, run, least(run + kRun, last));
    }
}
