/* Where windows lie. */
#pragma once

#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* Square windows around the pixels of planes, cut off at the border. */
struct Windows {
    ptrdiff_t height, width; /* of the planes */
    ptrdiff_t radius;        /* a window is 2 * radius + 1 pixels wide */
    ptrdiff_t begin, end;    /* the rows of pixels to write */
    bool is_peer;            /* scikit-image's levels, and not mid-ranks */
    bool is_float32;         /* the images are in single precision */

    /* The rows of the windows around row y: the first, and the one behind the last. */
    ptrdiff_t first_row(ptrdiff_t y) const { return y < radius ? 0 : y - radius; }
    ptrdiff_t last_row(ptrdiff_t y) const {
        return height - y <= radius ? height : y + radius + 1;
    }
};

} // namespace histeq::HISTEQ_TARGET
