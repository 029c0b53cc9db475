/* The kernel of local equalization. */
#pragma once

#include "../_kernels/kernel.h"
#include "local.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    HISTEQ_KERNEL(local, uint8_t, uint16_t, float, double);
}

} // namespace histeq::HISTEQ_TARGET
