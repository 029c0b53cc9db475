/* Counts in small windows: a volume is compared with itself, shifted by each place in the window.
 *
 * How the bits are kept: all counts are whole numbers. The score of a pixel is twice the number of
 * counted pixels of its window that are below it plus the number of those that are equal; in
 * scikit-image's convention it is the number of those that are below or equal. It is found as the
 * number of pixels n in the window plus a sum of signs: + 1 for a neighbour below (which counts for
 * mid-ranks only), - 1 for one above.
 */
#pragma once

#include "../_kernels/types.h"
#include "windows.h"

namespace histeq::HISTEQ_TARGET {

/* Pixels as types that the processor compares at once: levels with their sign bit flipped. */
template <class Pixel>
using Ordered = std::conditional_t<
    std::is_floating_point_v<Pixel>, Pixel,
    std::conditional_t<sizeof(Pixel) == 1, int8_t, int16_t>>;

template <class Pixel> Ordered<Pixel> flipped(Pixel x) {
    if constexpr (std::is_floating_point_v<Pixel>)
        return x;
    else
        return static_cast<Ordered<Pixel>>(x ^ (Pixel{1} << (8 * sizeof(Pixel) - 1)));
}

/* What stands for neighbours that do not count: NaN is neither below nor above; the highest level
 * is above all others, which is corrected. */
template <class Pixel>
constexpr Ordered<Pixel> NOT_COUNTED = std::is_floating_point_v<Pixel>
                                           ? std::numeric_limits<Ordered<Pixel>>::quiet_NaN()
                                           : std::numeric_limits<Ordered<Pixel>>::max();

/* Sums of signs, as wide as the pixels: then no vector has to be widened. */
template <class Pixel>
using Signs = std::conditional_t<
    sizeof(Pixel) == 1, int8_t,
    std::conditional_t<sizeof(Pixel) == 2, int16_t,
                       std::conditional_t<sizeof(Pixel) == 4, int32_t, int64_t>>>;

constexpr ptrdiff_t N_TOGETHER = 5; /* neighbours that are compared in one pass over a row */
constexpr ptrdiff_t N_PADDED = 32;  /* rows are padded to a multiple, so that vectors are full */

/* Add the signs of so many neighbours, one behind the other, of each of n pixels. */
template <ptrdiff_t N, bool HAS_BELOW, class T, class Sum>
void add_signs(const T *x, const T *neighbours, ptrdiff_t n, Sum *sums) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        Sum sum = sums[i];
        for (ptrdiff_t k = 0; k < N; ++k) {
            if (HAS_BELOW)
                sum = static_cast<Sum>(sum + (neighbours[i + k] < x[i]));
            sum = static_cast<Sum>(sum - (neighbours[i + k] > x[i]));
        }
        sums[i] = sum;
    }
}

/* The same for a row of `width` neighbours. */
template <bool HAS_BELOW, class T, class Sum>
void add_row(const T *x, const T *neighbours, ptrdiff_t width, ptrdiff_t n, Sum *sums) {
    for (; width >= N_TOGETHER; width -= N_TOGETHER, neighbours += N_TOGETHER)
        add_signs<N_TOGETHER, HAS_BELOW>(x, neighbours, n, sums);
    if (width == 4)
        add_signs<4, HAS_BELOW>(x, neighbours, n, sums);
    else if (width == 3)
        add_signs<3, HAS_BELOW>(x, neighbours, n, sums);
    else if (width == 2)
        add_signs<2, HAS_BELOW>(x, neighbours, n, sums);
    else if (width == 1)
        add_signs<1, HAS_BELOW>(x, neighbours, n, sums);
}

/* The scores of the rows of a volume, by direct comparison. */
template <class Pixel> class Shifts {
    using T = Ordered<Pixel>;
    using Sum = Signs<Pixel>;

  public:
    Shifts(Scratch &scratch, const Windows &windows, bool is_used)
        : windows(windows), n_padded((windows.width + N_PADDED - 1) / N_PADDED * N_PADDED),
          stride(n_padded + 2 * windows.radii.columns),
          n_rows(is_used ? windows.depth * windows.height : 0),
          padded(scratch.array<T>(n_rows * stride)), own(scratch.array<T>(n_padded)),
          sums(scratch.array<Sum>(n_padded)) {
        if (!scratch.is_complete)
            return;
        for (ptrdiff_t i = 0; i < n_rows * stride; ++i)
            padded[i] = NOT_COUNTED<Pixel>;
        clear_sums();
    }

    /* Take a volume; is_in (or nullptr): which pixels count. */
    void take(const Pixel *volume, const uint8_t *is_in) {
        x = volume;
        has_mask = is_in != nullptr;
        const ptrdiff_t width = windows.width;
        for (ptrdiff_t row = 0; row < n_rows; ++row) {
            const ptrdiff_t start = row * width;
            T *inner = padded + row * stride + windows.radii.columns;
            for (ptrdiff_t i = 0; i < width; ++i)
                inner[i] = flipped(volume[start + i]);
            if (is_in)
                for (ptrdiff_t i = 0; i < width; ++i)
                    inner[i] = is_in[start + i] ? inner[i] : NOT_COUNTED<Pixel>;
        }
    }

    /* Set the scores of a row, whose windows have so many counted pixels. */
    template <bool HAS_BELOW>
    void find_scores(const Row &row, const int32_t *n_counted, int32_t *scores) const {
        const ptrdiff_t side = 2 * windows.radii.columns + 1, width = windows.width;
        const ptrdiff_t most = std::numeric_limits<Sum>::max() / side;
        const T *pixels = pixels_of(row.y);
        std::memcpy(scores, n_counted, static_cast<size_t>(width) * sizeof(int32_t));
        ptrdiff_t n_summed = 0;
        for (ptrdiff_t z = row.slices.begin; z < row.slices.end; ++z) {
            const T *neighbours = padded + (z * windows.height + row.rows.begin) * stride;
            for (ptrdiff_t n = row.rows.size(), n_now; n > 0; n -= n_now) {
                if (n_summed == most)
                    n_summed = take_sums(scores);
                n_now = least(n, most - n_summed);
                n_summed += n_now;
                for (ptrdiff_t k = 0; k < n_now; ++k, neighbours += stride)
                    add_row<HAS_BELOW>(pixels, neighbours, side, n_padded, sums);
            }
        }
        take_sums(scores);
        if constexpr (std::is_integral_v<Pixel>) {
            const int32_t all = static_cast<int32_t>(side * row.rows.size() * row.slices.size());
            for (ptrdiff_t i = 0; i < width; ++i) /* pixels that do not count were counted as above */
                scores[i] += pixels[i] != NOT_COUNTED<Pixel> ? all - n_counted[i] : 0;
        }
    }

  private:
    /* The pixels of row y themselves, whether they count or not. */
    const T *pixels_of(ptrdiff_t y) const {
        if (!has_mask)
            return padded + y * stride + windows.radii.columns;
        for (ptrdiff_t i = 0; i < windows.width; ++i)
            own[i] = flipped(x[y * windows.width + i]);
        return own;
    }

    /* Add the sums of signs to the scores, and begin anew with no neighbour. */
    ptrdiff_t take_sums(int32_t *scores) const {
        for (ptrdiff_t i = 0; i < windows.width; ++i)
            scores[i] += static_cast<int32_t>(sums[i]);
        clear_sums();
        return 0;
    }

    void clear_sums() const { std::memset(sums, 0, static_cast<size_t>(n_padded) * sizeof(Sum)); }

    const Windows &windows;
    ptrdiff_t n_padded, stride, n_rows;
    T *padded, *own;
    Sum *sums;
    const Pixel *x = nullptr;
    bool has_mask = false;
};

} // namespace histeq::HISTEQ_TARGET
