/* The module sklearn_histeq._match.kernels: the kernels of histogram matching. */
#include "../_kernels/module.h"

#include "kernels.h"

HISTEQ_MODULE(kernels, histeq::share_instruction_sets)
