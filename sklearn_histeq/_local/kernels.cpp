/* The module sklearn_histeq._local.kernels: the kernels of local equalization. */
#include "../_kernels/module.h"

#include "kernels.h"

HISTEQ_MODULE(kernels, histeq::share_instruction_sets)
