/* The kernels of a folder once more, for AVX2: its avx2.cpp names the kernels.h to be compiled. */
#pragma once

#define HISTEQ_TARGET avx2
#include "kernel.h"
#include "types.h"

#if defined(HISTEQ_X86) && defined(HISTEQ_KERNELS)
#define HISTEQ_AVX2 1

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,popcnt")
#endif

#include HISTEQ_KERNELS

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
