#include "kernel.h"

#include <cstring>
#include <stdexcept>
#include <string>

namespace blazingtext {

const Kernel* const* usable_kernels() {
    static const Kernel* kernels[4] = {};
    static const bool found = [] {
        std::size_t count = 0;
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f")) kernels[count++] = &kAvx512Kernel;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels[count++] = &kAvx2Kernel;
#endif
        kernels[count++] = &kPortableKernel;
        return true;
    }();
    static_cast<void>(found);
    return kernels;
}

const Kernel& choose_kernel(const char* name) {
    const Kernel* const* kernels = usable_kernels();
    if (*name == '\0') return *kernels[0];
    std::string usable;
    for (; *kernels != nullptr; ++kernels) {
        if (std::strcmp((*kernels)->name, name) == 0) return **kernels;
        usable += usable.empty() ? (*kernels)->name : std::string(", ") + (*kernels)->name;
    }
    throw std::invalid_argument("instructions=" + std::string(name) + " cannot be used here; this processor runs " +
                                usable + ".");
}

}  // namespace blazingtext
