#define HISTEQ_KERNELS "../_local/kernels.h"
#include "../_kernels/avx2.h"
