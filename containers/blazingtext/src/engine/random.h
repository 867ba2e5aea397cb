#pragma once

#include <cstdint>

namespace blazingtext {

// SplitMix64 (Steele, Lea and Flood 2014): one multiplication chain, any seed is good, streams by seed.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    // An independent stream for each (seed, stream).
    Random(std::uint64_t seed, std::uint64_t stream) : state_(Random(seed).next() ^ Random(~stream).next()) {}

    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }

    // 0 <= result < limit, limit below 2^32.
    std::uint32_t below(std::uint32_t limit) {
        return static_cast<std::uint32_t>(((next() >> 32) * limit) >> 32);
    }

    // [-1, 1)
    float symmetric() { return static_cast<float>(static_cast<std::int32_t>(next() >> 32)) * 0x1p-31f; }

    // Random(state()) goes on where this one is.
    std::uint64_t state() const { return state_; }

private:
    std::uint64_t state_;
};

}  // namespace blazingtext
