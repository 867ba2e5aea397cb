// src/cuda/word2vec.cu as functions of the CPU, one for each kernel: what went wrong, "" for nothing.
#include "cuda_emulation.h"

#include "../src/cuda/word2vec.cu"

#define EMULATE(kernel)                                                                                             \
    extern "C" const char* launch_##kernel(unsigned blocks, unsigned threads, unsigned order_seed, void** pointers) { \
        static std::string error;                                                                                   \
        error = emulation::launch(kernel, blocks, threads, order_seed, pointers);                                   \
        return error.c_str();                                                                                       \
    }

EMULATE(count_words)
EMULATE(gather_words)
EMULATE(set_shares)
EMULATE(train_words)
