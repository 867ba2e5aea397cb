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
constexpr int kAttempts = 4;
constexpr std::chrono::milliseconds kBetweenAttempts{10};
constexpr double kNone = std::numeric_limits<double>::max();

void stay_on(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (pthread_setaffinity_np(pthread_self(), sizeof cores, &cores) != 0) {
        std::fprintf(stderr, "core %d is not ours to run on.\n", core);
        std::exit(1);
    }
}

// Both threads must be running to play; where other programs have the cores, one may wait for milliseconds for the other.
// Then they give up rather than to take that time from what is measured beside them.
class Patience {
public:
    // Waits until it is so; false when either thread has given up.
    template <class Condition>
    bool wait(Condition is_so) {
        std::chrono::steady_clock::time_point latest;
        for (unsigned spins = 1; !is_so(); ++spins) {
            if (given_up_.load(std::memory_order_relaxed)) return false;
            if (spins % kSpins != 0) continue;
            const auto now = std::chrono::steady_clock::now();
            if (spins == kSpins) latest = now + kLongestWait;
            if (now > latest) given_up_.store(true);
        }
        return true;
    }

private:
    static constexpr std::chrono::microseconds kLongestWait{500};
    static constexpr unsigned kSpins = 64;  // between two looks at the clock
    std::atomic<bool> given_up_{false};
};

// The shortest of some rounds of two threads that write the same line in turn, in ns for each handover; kNone
// where no round was played.
double shortest_handover(int core, int other_core) {
    alignas(64) std::atomic<int> turn{0};
    alignas(64) std::atomic<int> arrived{0};
    alignas(64) Patience patience;
    double shortest = kNone;
    const auto play = [&](int own) {
        stay_on(own == 0 ? core : other_core);
        for (int round = 1; round <= kRounds; ++round) {
            arrived.fetch_add(1);
            if (!patience.wait([&] { return arrived.load() >= 2 * round; })) return;
            const auto began = std::chrono::steady_clock::now();
            for (int i = 0; i < kTurns; ++i) {
                if (!patience.wait([&] { return turn.load(std::memory_order_acquire) == own; })) return;
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
    // Ahead of what is measured, and its threads from their start, where that is allowed; elsewhere samples get lost.
    const sched_param priority{1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
    do {
        double ns = kNone;
        for (int attempt = 0; ns == kNone && attempt < kAttempts; ++attempt) {
            if (attempt > 0) std::this_thread::sleep_for(kBetweenAttempts);
            ns = shortest_handover(std::atoi(arguments[1]), std::atoi(arguments[2]));
        }
        const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
        if (ns != kNone) std::printf("%.3f %.1f\n", now.count(), ns);
        std::fflush(stdout);
    } while (rest());
}
