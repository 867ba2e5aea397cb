#include "prefetch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace blazingtext {
namespace {

bool has_prefetchw() {
#if defined(__x86_64__)
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_PRFCHW) != 0;
#else
    return false;
#endif
}

}  // namespace

const bool kPrefetchW = has_prefetchw();

}  // namespace blazingtext
