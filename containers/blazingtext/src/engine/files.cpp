#include "files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace blazingtext {

FileError::FileError(int error_number, std::string file)
    : std::runtime_error(file + ": " + std::strerror(error_number)), number(error_number), path(std::move(file)) {}

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw FileError(errno, path_);
    struct stat status = {};
    int error = ::fstat(descriptor, &status) != 0 ? errno : 0;
    if (error == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
    if (error == 0 && status.st_size > 0) {  // an empty file cannot be mapped
        size_ = static_cast<std::size_t>(status.st_size);
        void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (mapped == MAP_FAILED) {
            error = errno;
        } else {
            data_ = static_cast<const char*>(mapped);
        }
    }
    ::close(descriptor);
    if (error != 0) throw FileError(error, path_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

void MappedFile::announce(std::size_t begin, std::size_t end) const {
    if (begin >= end) return;
    const std::size_t aligned = begin - begin % static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    ::madvise(const_cast<char*>(data_) + aligned, end - aligned, MADV_WILLNEED);
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace blazingtext
