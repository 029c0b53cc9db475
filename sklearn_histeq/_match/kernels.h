/* The kernels of histogram matching. */
#pragma once

#include "../_kernels/kernel.h"
#include "match.h"
#include "quantiles.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    HISTEQ_KERNEL(match, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(find_level_quantiles, uint8_t, uint16_t);
}

} // namespace histeq::HISTEQ_TARGET
