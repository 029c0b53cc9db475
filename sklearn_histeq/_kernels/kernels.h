/* The kernels that several methods share. */
#ifndef HISTEQ_SHARED_KERNELS_H
#define HISTEQ_SHARED_KERNELS_H

#include "channels.h"
#include "colors.h"
#include "kernel.h"
#include "planes.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    list.add("transpose_pixels", transpose_pixels<uint8_t>);
    list.add("transpose_pixels", transpose_pixels<uint16_t>);
    list.add("transpose_pixels", transpose_pixels<uint32_t>);
    list.add("transpose_pixels", transpose_pixels<uint64_t>);
    list.add("find_ranges", find_ranges<float>);
    list.add("find_ranges", find_ranges<double>);
    list.add("add_level_counts", add_level_counts<uint8_t>);
    list.add("add_level_counts", add_level_counts<uint16_t>);
    list.add("rank_planes", rank_planes<uint16_t>);
    list.add("rank_planes", rank_planes<int32_t>);
    list.add("rank_planes", rank_planes<uint32_t>);
    list.add("rank_planes", rank_planes<int64_t>);
    list.add("rank_planes", rank_planes<uint64_t>);
    list.add("look_up", look_up<uint8_t>);
    list.add("look_up", look_up<uint16_t>);
    list.add("look_up", look_up<int32_t>);
    list.add("scale_colors", scale_colors<uint8_t>);
    list.add("scale_colors", scale_colors<uint16_t>);
    list.add("scale_colors", scale_colors<float>);
    list.add("scale_colors", scale_colors<double>);
}

} // namespace histeq::HISTEQ_TARGET

#endif
