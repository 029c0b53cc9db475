/* Pixels of several channels: split into planes, and joined from planes. Compilers find the
 * shuffles where the number of channels is a constant. */
#pragma once

#include "types.h"

namespace histeq::HISTEQ_TARGET {

template <ptrdiff_t N_CHANNELS, class Item>
void split_channels(const Item *__restrict x, ptrdiff_t n, Item *__restrict out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        for (ptrdiff_t c = 0; c < N_CHANNELS; ++c)
            out[c * n + i] = x[i * N_CHANNELS + c];
}

template <ptrdiff_t N_CHANNELS, class Item>
void join_channels(const Item *__restrict x, ptrdiff_t n, Item *__restrict out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        for (ptrdiff_t c = 0; c < N_CHANNELS; ++c)
            out[i * N_CHANNELS + c] = x[c * n + i];
}

template <ptrdiff_t N_CHANNELS, class Item>
void transpose(const Item *x, ptrdiff_t n_rows, ptrdiff_t n_columns, Item *out) {
    if (n_columns == N_CHANNELS)
        split_channels<N_CHANNELS>(x, n_rows, out);
    else
        join_channels<N_CHANNELS>(x, n_columns, out);
}

/* Set out (n, q, p) to each of images (n, p, q) transposed, where p or q is 2, 3 or 4. */
template <class Item> int transpose_pixels(Array<const Item> images, Array<Item> out) {
    const ptrdiff_t n_rows = images.shape[1], n_columns = images.shape[2];
    const ptrdiff_t n_channels = least(n_rows, n_columns), size = n_rows * n_columns;
    const auto of_image = n_channels == 2   ? transpose<2, Item>
                          : n_channels == 3 ? transpose<3, Item>
                                            : transpose<4, Item>;
    for (ptrdiff_t i = 0; i < images.shape[0]; ++i)
        of_image(images.start + i * size, n_rows, n_columns, out.start + i * size);
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
