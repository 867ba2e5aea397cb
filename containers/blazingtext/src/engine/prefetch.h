// Fetches rows that are about to be changed into the cache.
#pragma once

#include <cstddef>

#include "kernel.h"

namespace blazingtext {

// Whether this processor has prefetchw. A compiler that builds for every x86-64 turns a prefetch for writing into one
// for reading, and then each first write waits once more, until the other cores have given up the line. Before
// Broadwell, prefetchw does nothing on Intel's.
extern const bool kPrefetchW;

// Of internal linkage: each kernel has one that was compiled for it.
static inline void prefetch(const float* row, std::size_t stride) {
    for (std::size_t d = 0; d < stride; d += kRowPadding) {
#if defined(__x86_64__)
        if (kPrefetchW) {
            __asm__ volatile("prefetchw %0" : : "m"(row[d]));
            continue;
        }
#endif
        __builtin_prefetch(row + d, 1);
    }
}

}  // namespace blazingtext
