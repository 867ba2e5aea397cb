// Files mapped into memory.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace blazingtext {

// A file could not be read or written: becomes Python's OSError with this error number and path.
class FileError : public std::runtime_error {
public:
    FileError(int error_number, std::string file);

    const int number;
    const std::string path;
};

// A file, mapped for reading while this object lives.
class MappedFile {
public:
    explicit MappedFile(std::string path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    // Tells the system that these bytes will be read, so that it may begin to fetch them.
    void announce(std::size_t begin, std::size_t end) const;

    const std::string& path() const { return path_; }
    const char* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    std::string path_;
    const char* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace blazingtext
