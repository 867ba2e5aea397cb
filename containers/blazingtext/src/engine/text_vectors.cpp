#include "text_vectors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>

#include "files.h"

namespace blazingtext {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;
constexpr std::size_t kLongestNumber = 32;

// A file that gets its name when it is complete, and leaves nothing behind when it does not get there.
class NewFile {
public:
    explicit NewFile(std::string path)
        : path_(std::move(path)), temporary_(path_ + ".part-" + std::to_string(::getpid())) {
        descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (descriptor_ < 0) throw FileError(errno, path_);
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    ~NewFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
        if (!finished_) ::unlink(temporary_.c_str());
    }

    void write(const char* data, std::size_t size) {
        while (size > 0) {
            const ssize_t written = ::write(descriptor_, data, size);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) throw FileError(errno, path_);
            data += written;
            size -= static_cast<std::size_t>(written);
        }
    }

    void finish() {
        const int closed = ::close(descriptor_);
        descriptor_ = -1;
        if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) throw FileError(errno, path_);
        finished_ = true;
    }

private:
    std::string path_;
    std::string temporary_;
    int descriptor_ = -1;
    bool finished_ = false;
};

void append(std::string& buffer, float number) {
    char text[kLongestNumber];
    buffer.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

}  // namespace

void write_text_vectors(const std::string& path, const std::vector<std::string_view>& words, const float* vectors,
                        std::size_t dim, std::int64_t row_stride, std::int64_t column_stride) {
    NewFile file(path);
    std::string buffer = std::to_string(words.size()) + " " + std::to_string(dim) + "\n";
    for (std::size_t i = 0; i < words.size(); ++i) {
        const float* at = vectors + static_cast<std::int64_t>(i) * row_stride;
        buffer.append(words[i]);
        for (std::size_t j = 0; j < dim; ++j, at += column_stride) {
            buffer.push_back(' ');
            append(buffer, *at);
        }
        buffer.push_back('\n');
        if (buffer.size() >= kBufferBytes) {
            file.write(buffer.data(), buffer.size());
            buffer.clear();
        }
    }
    file.write(buffer.data(), buffer.size());
    file.finish();
}

}  // namespace blazingtext
