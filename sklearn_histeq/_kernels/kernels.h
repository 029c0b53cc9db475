/* The kernels that several methods share. */
#pragma once

#include "channels.h"
#include "colors.h"
#include "kernel.h"
#include "planes.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    HISTEQ_KERNEL(transpose_pixels, uint8_t, uint16_t, uint32_t, uint64_t);
    HISTEQ_KERNEL(find_ranges, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(add_level_counts, uint8_t, uint16_t);
    HISTEQ_KERNEL(rank_planes, uint16_t, int32_t, uint32_t, int64_t, uint64_t);
    HISTEQ_KERNEL(look_up, uint8_t, uint16_t, int32_t);
    HISTEQ_KERNEL(scale_colors, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(find_luminance, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(shift_colors, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(follow_in_ycrcb, uint8_t, uint16_t);
    HISTEQ_KERNEL(find_lightness, uint8_t);
    HISTEQ_KERNEL(follow_in_lab, uint8_t);
    HISTEQ_KERNEL(look_up_colors, uint8_t, uint16_t);
    HISTEQ_KERNEL(find_gamma_bases, float, double);
    HISTEQ_KERNEL(decode_colors, float, double);
    HISTEQ_KERNEL(weigh_colors, double);
    HISTEQ_KERNEL(find_lightness_of_roots, double);
    HISTEQ_KERNEL(find_linear_colors, double);
    HISTEQ_KERNEL(encode_colors, double);
}

} // namespace histeq::HISTEQ_TARGET
