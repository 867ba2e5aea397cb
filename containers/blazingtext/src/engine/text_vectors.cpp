#include "text_vectors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <vector>

#include "files.h"
#include "parallel.h"

namespace blazingtext {
namespace {

// What a thread formats at a time: its text, about ten bytes a number, stays in the cache until it is written.
constexpr std::size_t kBlockNumbers = 1 << 14;
constexpr std::size_t kLongestNumber = 16;  // "-1.1754944e-38", and the space before it

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

    void write(std::string_view text, std::size_t offset) {
        while (!text.empty()) {
            const ssize_t written = ::pwrite(descriptor_, text.data(), text.size(), static_cast<off_t>(offset));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) throw FileError(errno, path_);
            text.remove_prefix(static_cast<std::size_t>(written));
            offset += static_cast<std::size_t>(written);
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

// Where the texts of blocks lie, which is known when those of all earlier blocks have been told.
class Offsets {
public:
    explicit Offsets(std::size_t first) : next_offset_(first) {}

    // Where the text of a block begins. Blocks of any thread wait here for their turn.
    std::size_t place(std::size_t block, std::size_t size) {
        std::unique_lock<std::mutex> lock(mutex_);
        told_.wait(lock, [&] { return failed_ || block == next_block_; });
        if (failed_) throw Failed();
        const std::size_t offset = next_offset_;
        next_offset_ += size;
        ++next_block_;
        told_.notify_all();
        return offset;
    }

    // Ends the waiting: there is a block whose turn will never come.
    void fail() {
        const std::lock_guard<std::mutex> lock(mutex_);
        failed_ = true;
        told_.notify_all();
    }

    // Another thread has failed.
    struct Failed {};

private:
    std::mutex mutex_;
    std::condition_variable told_;
    std::size_t next_block_ = 0;
    std::size_t next_offset_;
    bool failed_ = false;
};

void format(std::string& text, std::string_view word, const float* vector, std::size_t dim) {
    text.append(word);
    const std::size_t begin = text.size();
    text.resize(begin + dim * kLongestNumber + 1);
    char* at = text.data() + begin;
    for (std::size_t j = 0; j < dim; ++j) {
        *at++ = ' ';
        at = std::to_chars(at, at + kLongestNumber - 1, vector[j]).ptr;
    }
    *at++ = '\n';
    text.resize(static_cast<std::size_t>(at - text.data()));
}

}  // namespace

void write_text_vectors(const std::string& path, const NamedVectors& vectors, int threads) {
    NewFile file(path);
    const std::string header = std::to_string(vectors.count) + " " + std::to_string(vectors.dim) + "\n";
    file.write(header, 0);
    Offsets offsets(header.size());
    const std::size_t rows = std::max<std::size_t>(1, kBlockNumbers / vectors.dim);
    const std::size_t blocks = (vectors.count + rows - 1) / rows;
    std::atomic<std::size_t> next{0};
    in_parallel(static_cast<int>(std::clamp<std::size_t>(blocks, 1, static_cast<std::size_t>(threads))), [&](int) {
        try {
            std::vector<float> numbers(rows * vectors.dim);
            std::string text;
            for (std::size_t block = next++; block < blocks; block = next++) {
                const std::size_t begin = block * rows;
                const std::size_t end = std::min(begin + rows, vectors.count);
                vectors.read(begin, end, numbers.data());
                text.clear();
                for (std::size_t i = begin; i < end; ++i) {
                    format(text, vectors.word(i), numbers.data() + (i - begin) * vectors.dim, vectors.dim);
                }
                file.write(text, offsets.place(block, text.size()));
            }
        } catch (const Offsets::Failed&) {  // what went wrong is told by the thread where it did
        } catch (...) {
            offsets.fail();
            throw;
        }
    });
    file.finish();
}

}  // namespace blazingtext
