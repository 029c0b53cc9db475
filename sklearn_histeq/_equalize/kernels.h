/* The kernels of equalization, and of what it learns. */
#ifndef HISTEQ_EQUALIZE_KERNELS_H
#define HISTEQ_EQUALIZE_KERNELS_H

#include "../_kernels/kernel.h"
#include "equalize.h"
#include "learn.h"
#include "steps.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    list.add("equalize", equalize<uint8_t>);
    list.add("equalize", equalize<uint16_t>);
    list.add("equalize", equalize<float>);
    list.add("equalize", equalize<double>);
    list.add("add_bin_counts", add_bin_counts<float>);
    list.add("add_bin_counts", add_bin_counts<double>);
    list.add("apply_curves", apply_curves<float>);
    list.add("apply_curves", apply_curves<double>);
    list.add("narrow_planes", narrow_planes<int32_t>);
    list.add("narrow_planes", narrow_planes<uint32_t>);
    list.add("narrow_planes", narrow_planes<int64_t>);
    list.add("narrow_planes", narrow_planes<uint64_t>);
    list.add("add_lattice_counts", add_lattice_counts<float>);
    list.add("add_lattice_counts", add_lattice_counts<double>);
    list.add("look_up_steps", look_up_steps<int32_t>);
    list.add("look_up_steps", look_up_steps<uint32_t>);
    list.add("look_up_steps", look_up_steps<int64_t>);
    list.add("look_up_steps", look_up_steps<uint64_t>);
    list.add("interpolate_at", interpolate_at<float>);
    list.add("interpolate_at", interpolate_at<double>);
}

} // namespace histeq::HISTEQ_TARGET

#endif
