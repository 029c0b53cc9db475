#define HISTEQ_KERNELS "kernels.h"
#include "avx2.h"
