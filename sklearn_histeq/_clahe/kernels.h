/* The kernels of CLAHE, in the conventions of this package, of OpenCV and of scikit-image. */
#ifndef HISTEQ_CLAHE_KERNELS_H
#define HISTEQ_CLAHE_KERNELS_H

#include "../_kernels/kernel.h"
#include "histeq.h"
#include "opencv.h"
#include "skimage.h"

namespace histeq::HISTEQ_TARGET {

void list_kernels(KernelList &list) {
    list.add("clahe", clahe<uint8_t>);
    list.add("clahe", clahe<uint16_t>);
    list.add("clahe", clahe<float>);
    list.add("clahe", clahe<double>);
    list.add("clahe_opencv", clahe_opencv<uint8_t>);
    list.add("clahe_opencv", clahe_opencv<uint16_t>);
    list.add("clahe_skimage", clahe_skimage<uint8_t>);
    list.add("clahe_skimage", clahe_skimage<uint16_t>);
    list.add("blend_skimage_rows", blend_skimage_rows<uint16_t>);
}

} // namespace histeq::HISTEQ_TARGET

#endif
