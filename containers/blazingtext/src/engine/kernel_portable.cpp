#define KERNEL_WIDTH 4
#define KERNEL_VARIABLE kPortableKernel
#define KERNEL_NAME "portable"
#include "kernel.inl"
