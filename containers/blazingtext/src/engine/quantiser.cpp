#include "quantiser.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "parallel.h"
#include "random.h"

namespace blazingtext {
namespace {

constexpr std::size_t kCentroids = Quantised::kCentroids;
// Rows that the centroids are found from: 256 for each, as in fastText.
constexpr std::size_t kSample = 65536;
constexpr int kIterations = 25;
// k-means ends when an iteration makes the squared error smaller by less than this share.
constexpr double kConverged = 1e-3;
// By how much two centroids differ that share the points of one.
constexpr float kApart = 1e-4f;

// Points are handled in tiles, a dimension's values side by side, so that one instruction serves a group of points.
// Several groups to a tile: their comparisons do not wait for one another.
constexpr std::size_t kGroup = 8;
constexpr std::size_t kGroups = 4;
constexpr std::size_t kTile = kGroups * kGroup;
// Any...: as they stand in arrays.
typedef float Floats __attribute__((vector_size(kGroup * sizeof(float))));
typedef std::int32_t Integers __attribute__((vector_size(kGroup * sizeof(float))));
typedef float AnyFloats __attribute__((vector_size(kGroup * sizeof(float)), may_alias, aligned(sizeof(float))));
typedef std::int32_t AnyIntegers __attribute__((vector_size(kGroup * sizeof(float)), may_alias, aligned(sizeof(float))));

// The instruction set is chosen at run time, as for the kernels of training.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define BLAZINGTEXT_FOR_EACH_INSTRUCTION_SET __attribute__((target_clones("avx2", "default")))
#else
#define BLAZINGTEXT_FOR_EACH_INSTRUCTION_SET
#endif

// For each point of a tile the number of the centroid that is nearest, and its squared distance.
// points: block x kTile; centroids: 256 x block.
BLAZINGTEXT_FOR_EACH_INSTRUCTION_SET
void nearest(const float* points, std::size_t block, const float* centroids, std::int32_t* numbers, float* distances) {
    const AnyFloats* const x = reinterpret_cast<const AnyFloats*>(points);
    Floats best[kGroups];
    Integers number[kGroups];
#pragma GCC unroll 4
    for (std::size_t group = 0; group < kGroups; ++group) {
        best[group] = Floats{} + std::numeric_limits<float>::infinity();
        number[group] = Integers{};
    }
    for (std::size_t k = 0; k < kCentroids; ++k, centroids += block) {
        Floats distance[kGroups] = {};
        for (std::size_t d = 0; d < block; ++d) {
#pragma GCC unroll 4
            for (std::size_t group = 0; group < kGroups; ++group) {
                const Floats difference = x[d * kGroups + group] - centroids[d];
                distance[group] += difference * difference;
            }
        }
#pragma GCC unroll 4
        for (std::size_t group = 0; group < kGroups; ++group) {
            const Integers nearer = distance[group] < best[group];
            best[group] = nearer ? distance[group] : best[group];
            number[group] = nearer ? static_cast<std::int32_t>(k) - Integers{} : number[group];
        }
    }
#pragma GCC unroll 4
    for (std::size_t group = 0; group < kGroups; ++group) {
        reinterpret_cast<AnyIntegers*>(numbers)[group] = number[group];
        reinterpret_cast<AnyFloats*>(distances)[group] = best[group];
    }
}

// Points of one block in tiles; the last tile is filled up with zeros.
struct Points {
    std::size_t count;
    std::size_t block;
    std::vector<float> values;

    Points(std::size_t points, std::size_t dimensions)
        : count(points), block(dimensions), values((points + kTile - 1) / kTile * kTile * dimensions) {}

    float& at(std::size_t point, std::size_t d) {
        return values[point / kTile * kTile * block + d * kTile + point % kTile];
    }
    float at(std::size_t point, std::size_t d) const { return const_cast<Points&>(*this).at(point, d); }
};

// 256 of the points, all different ones where there are so many.
std::vector<float> first_centroids(const Points& points, Random random) {
    std::vector<float> centroids;
    std::vector<std::uint32_t> order(points.count);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t k = 0; k < kCentroids; ++k) {
        const std::size_t place = k % points.count;
        if (k < points.count) {
            std::swap(order[k], order[k + random.below(static_cast<std::uint32_t>(points.count - k))]);
        }
        for (std::size_t d = 0; d < points.block; ++d) centroids.push_back(points.at(order[place], d));
    }
    return centroids;
}

// A centroid that no point is nearest to takes half of the points of the one with most.
void fill_empty(std::vector<float>& centroids, std::size_t block, std::vector<std::size_t>& members) {
    for (std::size_t k = 0; k < kCentroids; ++k) {
        if (members[k] > 0) continue;
        const auto most = static_cast<std::size_t>(std::max_element(members.begin(), members.end()) - members.begin());
        for (std::size_t d = 0; d < block; ++d) {
            float& value = centroids[most * block + d];
            centroids[k * block + d] = value * (1.0f + kApart);
            value *= 1.0f - kApart;
        }
        members[k] = members[most] / 2;
        members[most] -= members[k];
    }
}

// One iteration: every centroid becomes the mean of the points nearest to it. Returns the squared error before.
double move_centroids(const Points& points, std::vector<float>& centroids) {
    const std::size_t block = points.block;
    std::vector<double> sums(kCentroids * block);
    std::vector<std::size_t> members(kCentroids);
    double error = 0;
    std::int32_t numbers[kTile];
    float distances[kTile];
    for (std::size_t begin = 0; begin < points.count; begin += kTile) {
        nearest(points.values.data() + begin * block, block, centroids.data(), numbers, distances);
        for (std::size_t i = 0; i < std::min(kTile, points.count - begin); ++i) {
            const auto k = static_cast<std::size_t>(numbers[i]);
            ++members[k];
            error += distances[i];
            for (std::size_t d = 0; d < block; ++d) sums[k * block + d] += points.at(begin + i, d);
        }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) {
        if (members[i / block] > 0) centroids[i] = static_cast<float>(sums[i] / static_cast<double>(members[i / block]));
    }
    fill_empty(centroids, block, members);
    return error;
}

// k-means (Lloyd 1982).
std::vector<float> find_centroids(const Points& points, Random random) {
    std::vector<float> centroids = first_centroids(points, random);
    if (points.count <= kCentroids) return centroids;
    double error = std::numeric_limits<double>::infinity();
    for (int iteration = 0; iteration < kIterations; ++iteration) {
        const double before = error;
        error = move_centroids(points, centroids);
        if (error > before * (1.0 - kConverged)) break;
    }
    return centroids;
}

// Writes a row's direction to to[d * stride] and returns its length; a row of zeros has no direction, but zeros.
float split(const RowsView& rows, std::size_t row, float* to, std::size_t stride) {
    double squares = 0;
    for (std::size_t d = 0; d < rows.dim; ++d) squares += static_cast<double>(rows.at(row, d)) * rows.at(row, d);
    const auto length = static_cast<float>(std::sqrt(squares));
    const float factor = length > 0 ? 1.0f / length : 0.0f;
    for (std::size_t d = 0; d < rows.dim; ++d) to[d * stride] = rows.at(row, d) * factor;
    return length;
}

std::vector<std::uint32_t> drawn_rows(std::size_t rows, Random random) {
    std::vector<std::uint32_t> order(rows);
    std::iota(order.begin(), order.end(), 0U);
    if (rows <= kSample) return order;
    for (std::size_t i = 0; i < kSample; ++i) {
        std::swap(order[i], order[i + random.below(static_cast<std::uint32_t>(rows - i))]);
    }
    order.resize(kSample);
    return order;
}

// The centroids of all blocks, and as the last entry those of the lengths.
std::vector<std::vector<float>> find_all_centroids(const RowsView& rows, std::size_t block, std::uint64_t seed,
                                                   int threads) {
    const std::size_t blocks = (rows.dim + block - 1) / block;
    const std::vector<std::uint32_t> sample = drawn_rows(rows.rows, Random(seed, blocks + 1));
    std::vector<float> directions(sample.size() * rows.dim);
    Points lengths(sample.size(), 1);
    for (std::size_t i = 0; i < sample.size(); ++i) {
        lengths.at(i, 0) = split(rows, sample[i], directions.data() + i * rows.dim, 1);
    }
    std::vector<std::vector<float>> centroids(blocks + 1);
    std::atomic<std::size_t> next{0};
    in_parallel(threads, [&](int) {
        for (std::size_t b = next++; b < blocks; b = next++) {
            Points points(sample.size(), std::min(block, rows.dim - b * block));
            for (std::size_t i = 0; i < sample.size(); ++i) {
                for (std::size_t d = 0; d < points.block; ++d) {
                    points.at(i, d) = directions[i * rows.dim + b * block + d];
                }
            }
            centroids[b] = find_centroids(points, Random(seed, b));
        }
    });
    centroids[blocks] = find_centroids(lengths, Random(seed, blocks));
    return centroids;
}

}  // namespace

Quantised quantise(const RowsView& rows, std::size_t block, std::uint64_t seed, int threads) {
    if (rows.rows == 0 || rows.dim == 0 || block == 0 || threads < 1 || rows.rows > UINT32_MAX) {
        throw std::invalid_argument("there must be rows, dimensions, a block of at least 1 and a thread.");
    }
    const std::vector<std::vector<float>> centroids = find_all_centroids(rows, block, seed, threads);
    const std::size_t blocks = centroids.size() - 1;

    Quantised result;
    result.codes.resize(rows.rows * blocks);
    result.length_codes.resize(rows.rows);
    std::atomic<std::size_t> next{0};
    in_parallel(threads, [&](int) {
        std::vector<float> tile(rows.dim * kTile);
        float lengths[kTile] = {};
        float distances[kTile];
        std::int32_t numbers[kTile];
        for (std::size_t begin = next.fetch_add(kTile); begin < rows.rows; begin = next.fetch_add(kTile)) {
            const std::size_t count = std::min(kTile, rows.rows - begin);
            for (std::size_t i = 0; i < count; ++i) lengths[i] = split(rows, begin + i, tile.data() + i, kTile);
            for (std::size_t b = 0; b < blocks; ++b) {
                const std::size_t dimensions = std::min(block, rows.dim - b * block);
                nearest(tile.data() + b * block * kTile, dimensions, centroids[b].data(), numbers, distances);
                for (std::size_t i = 0; i < count; ++i) {
                    result.codes[(begin + i) * blocks + b] = static_cast<std::uint8_t>(numbers[i]);
                }
            }
            nearest(lengths, 1, centroids[blocks].data(), numbers, distances);
            for (std::size_t i = 0; i < count; ++i) {
                result.length_codes[begin + i] = static_cast<std::uint8_t>(numbers[i]);
            }
        }
    });
    for (std::size_t b = 0; b < blocks; ++b) {
        result.centroids.insert(result.centroids.end(), centroids[b].begin(), centroids[b].end());
    }
    result.length_centroids = centroids[blocks];
    return result;
}

}  // namespace blazingtext
