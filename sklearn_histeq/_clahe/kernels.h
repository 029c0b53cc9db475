/* The kernels of CLAHE, in the conventions of this package, of OpenCV and of scikit-image. */
#pragma once

#include "../_kernels/kernel.h"
#include "histeq.h"
#include "opencv.h"
#include "skimage.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    HISTEQ_KERNEL(clahe, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(count_tiles, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(find_cdfs, int32_t);
    HISTEQ_KERNEL(blend_tiles, uint8_t, uint16_t, float, double);
    HISTEQ_KERNEL(count_codes, uint8_t, uint16_t);
    HISTEQ_KERNEL(clahe_opencv, uint8_t, uint16_t);
    HISTEQ_KERNEL(find_tables_opencv, int32_t);
    HISTEQ_KERNEL(blend_tiles_opencv, uint8_t, uint16_t);
    HISTEQ_KERNEL(clahe_skimage, uint8_t, uint16_t);
    HISTEQ_KERNEL(find_tables_skimage, int32_t);
    HISTEQ_KERNEL(blend_tiles_skimage, uint16_t);
}

} // namespace histeq::HISTEQ_TARGET
