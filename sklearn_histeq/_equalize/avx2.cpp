#define HISTEQ_KERNELS "../_equalize/kernels.h"
#include "../_kernels/avx2.h"
