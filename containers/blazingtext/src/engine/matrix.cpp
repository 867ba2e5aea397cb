#include "matrix.h"

#include <sys/mman.h>

#include <new>

namespace blazingtext {

Matrix::Matrix(std::size_t rows, std::size_t dim)
    : rows_(rows), dim_(dim), stride_(padded(dim)), data_(nullptr) {
    if (rows == 0) return;
    void* memory = ::mmap(nullptr, rows * stride_ * sizeof(float), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<float*>(memory);
    // Rows are met at random: large pages spare most of the walks through the page table.
    ::madvise(memory, rows * stride_ * sizeof(float), MADV_HUGEPAGE);
}

Matrix::~Matrix() {
    if (data_ != nullptr) ::munmap(data_, rows_ * stride_ * sizeof(float));
}

}  // namespace blazingtext
