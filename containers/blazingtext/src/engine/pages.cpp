#include "pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace blazingtext {

Pages::Pages(std::size_t bytes, Size size) : bytes_(bytes) {
    if (bytes == 0) return;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<char*>(memory);
    ::madvise(memory, bytes, size == Size::kLarge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

Pages::~Pages() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
}

void Pages::release(std::size_t begin, std::size_t bytes) {
    if (bytes > 0) ::madvise(data_ + begin, whole(bytes), MADV_DONTNEED);
}

std::size_t Pages::whole(std::size_t bytes) {
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

}  // namespace blazingtext
