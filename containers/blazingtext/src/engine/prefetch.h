// Fetches rows that are about to be changed into the cache.
#pragma once

#include <cstddef>

#include "kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace blazingtext {

#if defined(__x86_64__)
inline bool has_prefetchw() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_PRFCHW) != 0;
}

// A compiler that builds for every x86-64 turns a prefetch for writing into one for reading, and then each first write
// waits once more, until the other cores have given up the line. Before Broadwell, prefetchw does nothing on Intel's.
inline const bool kPrefetchW = has_prefetchw();

inline void prefetch_line(const float* line) {
    if (kPrefetchW) {
        __asm__ volatile("prefetchw %0" : : "m"(*line));
    } else {
        __builtin_prefetch(line);
    }
}
#else
inline void prefetch_line(const float* line) { __builtin_prefetch(line, 1); }
#endif

inline void prefetch(const float* row, std::size_t stride) {
    for (std::size_t d = 0; d < stride; d += kRowPadding) prefetch_line(row + d);
}

}  // namespace blazingtext
