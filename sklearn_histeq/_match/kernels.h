/* The kernels of histogram matching. */
#ifndef HISTEQ_MATCH_KERNELS_H
#define HISTEQ_MATCH_KERNELS_H

#include "../_kernels/kernel.h"
#include "match.h"
#include "quantiles.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    list.add("match", match<uint8_t>);
    list.add("match", match<uint16_t>);
    list.add("match", match<float>);
    list.add("match", match<double>);
    list.add("find_level_quantiles", find_level_quantiles<uint8_t>);
    list.add("find_level_quantiles", find_level_quantiles<uint16_t>);
}

} // namespace histeq::HISTEQ_TARGET

#endif
