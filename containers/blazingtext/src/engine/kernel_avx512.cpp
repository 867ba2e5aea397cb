#define KERNEL_WIDTH 16
#define KERNEL_VARIABLE kAvx512Kernel
#define KERNEL_NAME "avx512"
#include "kernel.inl"
