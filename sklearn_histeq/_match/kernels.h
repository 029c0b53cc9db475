/* The kernels of histogram matching. */
#pragma once

#include "../_kernels/kernel.h"
#include "landmarks.h"
#include "match.h"
#include "quantiles.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    HISTEQ_KERNEL(match, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(find_level_quantiles, uint8_t, uint16_t);
    HISTEQ_KERNEL(find_neighbours_of_shares, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(map_by_lines, uint8_t, uint16_t, float, double);
}

} // namespace histeq::HISTEQ_TARGET
