// Memory in pages, taken from the system when they are first written to.
#pragma once

#include <cstddef>

namespace blazingtext {

// Reserving more than will be used costs nothing but addresses, and what is done with can be given back in pieces.
class Pages {
public:
    // Large pages, where the system has them, are found by the processor without a search, but taken whole for the first
    // byte that is written to them.
    enum class Size { kSmall, kLarge };

    // Throws std::bad_alloc.
    explicit Pages(std::size_t bytes, Size size = Size::kSmall);
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages();

    char* data() { return data_; }

    // Gives back `bytes` from `begin` on, which must be the beginning of a page, to the end of the last page among them;
    // what was written there is lost.
    void release(std::size_t begin, std::size_t bytes);

    // `bytes` and what is missing to whole pages.
    static std::size_t whole(std::size_t bytes);

private:
    std::size_t bytes_;
    char* data_ = nullptr;
};

}  // namespace blazingtext
