#pragma once

#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace blazingtext {

// Calls work(0) ... work(threads - 1), each on a thread of its own (the last on the caller's), and waits for all.
// What the first of them throws is thrown again here.
template <typename Work>
void in_parallel(int threads, Work work) {
    std::exception_ptr first;
    std::mutex mutex;
    const auto guarded = [&](int index) {
        try {
            work(index);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex);
            if (!first) first = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    others.reserve(static_cast<std::size_t>(threads));
    int started = 0;
    try {
        for (; started < threads - 1; ++started) others.emplace_back(guarded, started);
    } catch (const std::system_error&) {
        // No more threads to be had: the caller's thread does the rest.
    }
    for (int index = started; index < threads; ++index) guarded(index);
    for (std::thread& other : others) other.join();
    if (first) std::rethrow_exception(first);
}

}  // namespace blazingtext
