#define HISTEQ_KERNELS "../_match/kernels.h"
#include "../_kernels/avx2.h"
