/* Pixels of several channels: split into planes, and joined from planes. Compilers find the shuffles
 * where the number of channels is a constant.
 */

template <ptrdiff_t N_CHANNELS, class Item>
void split_channels(const Item *HISTEQ_RESTRICT x, ptrdiff_t n, Item *HISTEQ_RESTRICT out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        for (ptrdiff_t c = 0; c < N_CHANNELS; ++c)
            out[c * n + i] = x[i * N_CHANNELS + c];
}

template <ptrdiff_t N_CHANNELS, class Item>
void join_channels(const Item *HISTEQ_RESTRICT x, ptrdiff_t n, Item *HISTEQ_RESTRICT out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        for (ptrdiff_t c = 0; c < N_CHANNELS; ++c)
            out[i * N_CHANNELS + c] = x[c * n + i];
}

/* Transpose each of n_images matrices (n_rows, n_columns), of which one number is 2, 3 or 4. */
template <class Item>
bool transpose_pixels(const Item *x, ptrdiff_t n_images, ptrdiff_t n_rows, ptrdiff_t n_columns,
                      Item *out) {
    const auto split = n_columns == 2   ? split_channels<2, Item>
                       : n_columns == 3 ? split_channels<3, Item>
                                        : split_channels<4, Item>;
    const auto join = n_rows == 2   ? join_channels<2, Item>
                      : n_rows == 3 ? join_channels<3, Item>
                                    : join_channels<4, Item>;
    const ptrdiff_t size = n_rows * n_columns;
    for (ptrdiff_t i = 0; i < n_images; ++i)
        if (n_columns <= 4)
            split(x + i * size, n_rows, out + i * size);
        else
            join(x + i * size, n_columns, out + i * size);
    return true;
}
