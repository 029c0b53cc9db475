/* The kernels of equalization, and of what it learns. */
#pragma once

#include "../_kernels/kernel.h"
#include "equalize.h"
#include "learn.h"
#include "steps.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    HISTEQ_KERNEL(equalize, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(add_bin_counts, float, double);
    HISTEQ_KERNEL(apply_curves, float, double);
    HISTEQ_KERNEL(blend, float, double);
    HISTEQ_KERNEL(narrow_planes, int32_t, uint32_t, int64_t, uint64_t);
    HISTEQ_KERNEL(add_lattice_counts, float, double);
    HISTEQ_KERNEL(compare_ranges, uint8_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, float,
                  double);
    HISTEQ_KERNEL(look_up_steps, int32_t, uint32_t, int64_t, uint64_t);
    HISTEQ_KERNEL(interpolate_at, float, double);
}

} // namespace histeq::HISTEQ_TARGET
