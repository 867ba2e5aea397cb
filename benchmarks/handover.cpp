// How long one core waits for a cache line that another has just written, in ns: the median of some rounds of two
// threads that write the same line in turn. Cores of one L3 cache take some tens, cores of two some hundreds.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

constexpr int kTurns = 200'000;
constexpr int kRounds = 9;

void stay_on(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (pthread_setaffinity_np(pthread_self(), sizeof cores, &cores) != 0) {
        std::fprintf(stderr, "core %d is not ours to run on.\n", core);
        std::exit(1);
    }
}

double one_round(const std::array<int, 2>& cores) {
    alignas(64) std::atomic<int> turn{0};
    const auto play = [&](int own) {
        stay_on(cores[own]);
        for (int i = 0; i < kTurns; ++i) {
            while (turn.load(std::memory_order_acquire) != own) {
            }
            turn.store(1 - own, std::memory_order_release);
        }
    };
    const auto began = std::chrono::steady_clock::now();
    std::thread other(play, 1);
    std::thread first(play, 0);
    first.join();
    other.join();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    return took.count() / (2.0 * kTurns);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: handover CORE CORE\n");
        return 2;
    }
    std::array<double, kRounds> found{};
    for (double& round : found) round = one_round({std::atoi(arguments[1]), std::atoi(arguments[2])});
    std::sort(found.begin(), found.end());
    std::printf("%.0f\n", found[kRounds / 2]);
}
