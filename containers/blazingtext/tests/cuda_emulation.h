// Runs CUDA kernels on the CPU, for tests of their arithmetic: a .cu file that includes nothing is compiled after this.
//
// All blocks of a launch are in flight at once and take turns from barrier to barrier, so that what one reads may be
// behind what others have added, as on a GPU. A block's threads run one after the other between two barriers, in an
// order that the launch is given: a result that depends on the order is a barrier that is missing. Shared memory holds
// NaNs at first. It finds no races between blocks, and it knows nothing of warps: kernels that shuffle need more.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

struct dim3 {
    unsigned x;
};
struct alignas(8) uint2 {
    unsigned x, y;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(threads)
// The linker puts all of it between two symbols, so that a block's can be put aside while another has its turn.
#define __shared__ static __attribute__((section("shared_memory")))
#define __syncthreads() emulation::wait_at(__LINE__)

extern char __start_shared_memory[], __stop_shared_memory[];

namespace emulation {

constexpr std::size_t kStackBytes = 64 * 1024;

struct Thread {
    dim3 index = {};
    bool started = false;
    bool finished = false;
    int waits_at = 0;  // line of the barrier
    ucontext_t first = {};
    jmp_buf rest = {};
    std::unique_ptr<char[]> stack{new char[kStackBytes]};
};

struct Block {
    dim3 index = {};
    std::vector<Thread> threads;
    std::vector<char> shared;
    bool finished = false;
};

static Thread* running;
static ucontext_t origin;
static jmp_buf scheduler;
static void (*body)(void*);
static void* arguments_of_body;

inline void wait_at(int line) {
    running->waits_at = line;
    if (_setjmp(running->rest) == 0) _longjmp(scheduler, 1);
}

inline void run_thread() {
    body(arguments_of_body);
    running->finished = true;
    _longjmp(scheduler, 1);
}

// Lets a thread go on to its next barrier or its end. _setjmp, because swapcontext asks the system for signal masks.
inline void resume(Thread& thread) {
    running = &thread;
    threadIdx = thread.index;
    if (_setjmp(scheduler) != 0) return;
    if (thread.started) _longjmp(thread.rest, 1);
    thread.started = true;
    getcontext(&thread.first);
    thread.first.uc_stack.ss_sp = thread.stack.get();
    thread.first.uc_stack.ss_size = kStackBytes;
    makecontext(&thread.first, run_thread, 0);
    swapcontext(&origin, &thread.first);
}

// Why the block's threads could not all pass the barrier, "" when they could.
inline std::string advance(Block& block, const std::vector<int>& order) {
    blockIdx = block.index;
    std::copy(block.shared.begin(), block.shared.end(), __start_shared_memory);
    for (const int thread : order) resume(block.threads[static_cast<std::size_t>(thread)]);
    std::copy(__start_shared_memory, __stop_shared_memory, block.shared.begin());
    const Thread& one = block.threads[0];
    for (const Thread& other : block.threads) {
        if (one.finished != other.finished || (!one.finished && one.waits_at != other.waits_at)) {
            return "the threads of block " + std::to_string(block.index.x) + " part at the barrier of line " +
                   std::to_string(std::max(one.waits_at, other.waits_at));
        }
    }
    block.finished = one.finished;
    return "";
}

inline std::string run(unsigned blocks, unsigned threads, unsigned order_seed) {
    gridDim = {blocks};
    blockDim = {threads};
    std::vector<Block> in_flight(blocks);
    const std::size_t bytes = static_cast<std::size_t>(__stop_shared_memory - __start_shared_memory);
    for (unsigned b = 0; b < blocks; ++b) {
        in_flight[b].index = {b};
        in_flight[b].threads = std::vector<Thread>(threads);
        in_flight[b].shared.assign(bytes, '\xFF');
        for (unsigned t = 0; t < threads; ++t) in_flight[b].threads[t].index = {t};
    }
    std::vector<int> order(threads);
    std::iota(order.begin(), order.end(), 0);
    std::mt19937 random(order_seed);
    for (bool left = true; left;) {
        left = false;
        for (Block& block : in_flight) {
            if (block.finished) continue;
            if (order_seed > 0) std::shuffle(order.begin(), order.end(), random);
            const std::string error = advance(block, order);
            if (!error.empty()) return error;
            left = left || !block.finished;
        }
    }
    return "";
}

template <class... Arguments, std::size_t... Index>
std::string launch(void (*kernel)(Arguments...), unsigned blocks, unsigned threads, unsigned order_seed,
                   void** pointers, std::index_sequence<Index...>) {
    auto call = [&] { kernel(*static_cast<Arguments*>(pointers[Index])...); };
    body = [](void* of) { (*static_cast<decltype(call)*>(of))(); };
    arguments_of_body = &call;
    return run(blocks, threads, order_seed);
}

// As cuLaunchKernel does: `pointers` point to the kernel's arguments. order_seed 0 lets threads run in ascending order.
// Returns what went wrong, "" for nothing.
template <class... Arguments>
std::string launch(void (*kernel)(Arguments...), unsigned blocks, unsigned threads, unsigned order_seed,
                   void** pointers) {
    return launch(kernel, blocks, threads, order_seed, pointers, std::index_sequence_for<Arguments...>());
}

}  // namespace emulation

inline float atomicAdd(float* to, float value) { return std::exchange(*to, *to + value); }
inline unsigned atomicOr(unsigned* to, unsigned value) { return std::exchange(*to, *to | value); }
inline float __ldcg(const float* from) { return *from; }
