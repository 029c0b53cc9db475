/* The kernel of local equalization. */
#ifndef HISTEQ_LOCAL_KERNELS_H
#define HISTEQ_LOCAL_KERNELS_H

#include "../_kernels/kernel.h"
#include "local.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    list.add("local", local<uint8_t>);
    list.add("local", local<uint16_t>);
    list.add("local", local<float>);
    list.add("local", local<double>);
}

} // namespace histeq::HISTEQ_TARGET

#endif
