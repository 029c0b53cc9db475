/* Where windows lie. */
#pragma once

#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* Places along an axis. */
struct Span {
    ptrdiff_t begin, end;
    ptrdiff_t size() const { return end - begin; }
};

/* The places at most `radius` away from i, as far as the axis reaches. */
inline Span around(ptrdiff_t i, ptrdiff_t radius, ptrdiff_t length) {
    return {i < radius ? 0 : i - radius, length - i <= radius ? length : i + radius + 1};
}

/* A row of a volume: its number, counted through all slices, and the slices and rows of the windows
 * around its pixels. is_first: the row before was in another slice, or was not asked for. */
struct Row {
    ptrdiff_t y;
    Span slices, rows;
    bool is_first;
};

/* How far windows reach to each side of their pixel. */
struct Radii {
    ptrdiff_t slices, rows, columns;
};

/* Windows around the pixels of a volume, cut off at the border. A plane is a volume of one slice;
 * rows are numbered through all slices. */
struct Windows {
    ptrdiff_t depth, height, width; /* of the volume */
    Radii radii;
    Span written; /* the rows of pixels to write */
    bool is_skimage; /* scikit-image's levels, and not mid-ranks */
    bool is_float32; /* the images are in single precision */

    ptrdiff_t n_pixels() const { return depth * height * width; }
    Row row(ptrdiff_t y) const {
        const ptrdiff_t slice = y / height, in_slice = y - slice * height;
        return {y, around(slice, radii.slices, depth), around(in_slice, radii.rows, height),
                y == written.begin || in_slice == 0};
    }
    /* Most pixels of a window in one column, all of which may be equal. */
    ptrdiff_t column_size() const {
        return least(2 * radii.slices + 1, depth) * least(2 * radii.rows + 1, height);
    }
};

} // namespace histeq::HISTEQ_TARGET
