#define KERNEL_WIDTH 8
#define KERNEL_VARIABLE kAvx2Kernel
#define KERNEL_NAME "avx2"
#include "kernel.inl"
