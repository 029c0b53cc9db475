#define HISTEQ_KERNELS "../_clahe/kernels.h"
#include "../_kernels/avx2.h"
