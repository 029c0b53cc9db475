/* The module sklearn_histeq._equalize.kernels: the kernels of equalization, and of what it
 * learns. */
#include "../_kernels/module.h"

#include "kernels.h"

HISTEQ_MODULE(kernels, histeq::share_instruction_sets)
