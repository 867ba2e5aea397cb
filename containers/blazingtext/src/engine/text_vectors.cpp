#include "text_vectors.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "new_file.h"
#include "parallel.h"

namespace blazingtext {
namespace {

// What a thread formats at a time: its text, about ten bytes a number, stays in the cache until it is written.
constexpr std::size_t kBlockNumbers = 1 << 14;
constexpr std::size_t kLongestNumber = 16;  // "-1.1754944e-38", and the space before it

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
