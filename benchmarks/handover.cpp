// How long one core waits for a cache line that another has just written, while other programs run on both: a line
// with the time (s since the epoch) and the wait (ns) about five times a second, until stdin ends. Cores of one L3 cache
// wait some tens, cores of two some hundreds.
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

namespace {

// Some 20 us: a round seldom loses its core to another program, and of a dozen the shortest has not.
constexpr int kTurns = 200;
constexpr int kRounds = 12;
constexpr int kPauseMs = 200;

void stay_on(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (pthread_setaffinity_np(pthread_self(), sizeof cores, &cores) != 0) {
        std::fprintf(stderr, "core %d is not ours to run on.\n", core);
        std::exit(1);
    }
    // Ahead of what is measured, where that is allowed; elsewhere more rounds are interrupted.
    const sched_param priority{1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
}

// The shortest of some rounds of two threads that write the same line in turn, in ns for each handover.
double shortest_handover(int core, int other_core) {
    alignas(64) std::atomic<int> turn{0};
    alignas(64) std::atomic<int> arrived{0};
    double shortest = std::numeric_limits<double>::max();
    const auto play = [&](int own) {
        stay_on(own == 0 ? core : other_core);
        for (int round = 1; round <= kRounds; ++round) {
            arrived.fetch_add(1);
            while (arrived.load() < 2 * round) {
            }
            const auto began = std::chrono::steady_clock::now();
            for (int i = 0; i < kTurns; ++i) {
                while (turn.load(std::memory_order_acquire) != own) {
                }
                turn.store(1 - own, std::memory_order_release);
            }
            const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
            if (own == 0) shortest = std::min(shortest, took.count() / (2.0 * kTurns));
        }
    };
    std::thread other(play, 1);
    std::thread first(play, 0);
    first.join();
    other.join();
    return shortest;
}

// False when stdin has ended.
bool rest() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    return poll(&input, 1, kPauseMs) == 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: handover CORE CORE\n");
        return 2;
    }
    do {
        const double ns = shortest_handover(std::atoi(arguments[1]), std::atoi(arguments[2]));
        const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
        std::printf("%.3f %.1f\n", now.count(), ns);
        std::fflush(stdout);
    } while (rest());
}
