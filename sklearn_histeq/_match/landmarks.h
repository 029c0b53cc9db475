/* Landmarks: the pixels between which percentiles lie, and planes mapped by straight lines between
 * their landmarks.
 *
 * How the bits are kept: order statistics are copies, and numpy.percentile's places of them are
 * computed as it does. slope * (x - point) + value is computed in double precision, in this order.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/ranks.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"
#include "quantiles.h"
#include "saturate.h"

namespace histeq::HISTEQ_TARGET {

/* The levels of counted pixels in order, from counts; places are asked for in increasing order. */
template <class LevelOf> struct LevelsInOrder {
    const int32_t *counts;
    LevelOf level_of;
    ptrdiff_t k;
    double up_to; /* how many pixels have levels up to k */

    double operator()(double place) {
        while (up_to <= place)
            up_to += counts[++k];
        return level_of(k);
    }
};

/* Set the pixels (2, n_shares) below and above the place (n - 1) * share of each share, which
 * increase, among n pixels in order. */
template <class InOrder>
void find_neighbours(const InOrder &in_order, double n, const Array<const double> &shares,
                     double *found) {
    const ptrdiff_t n_shares = shares.shape[0];
    InOrder below = in_order, above = in_order;
    for (ptrdiff_t i = 0; i < n_shares; ++i) {
        const double place = (n - 1.0) * shares[i];
        found[i] = below(std::floor(place));
        found[n_shares + i] = above(std::ceil(place));
    }
}

/* Set the status of each plane, the number of its counted pixels, and those that are neighbours of
 * the places of shares: found (n_planes, 2 * n_shares). */
template <class Pixel>
int find_neighbours_of_shares(Planes<Pixel> planes, Mask mask, Array<uint8_t> status,
                              Array<const double> shares, Array<double> n_counted,
                              Array<double> found) {
    const ptrdiff_t n = planes.shape[1];
    if constexpr (std::is_integral_v<Pixel>) {
        const auto find = [=](ptrdiff_t p, const int32_t *counts, auto level_of, double n_pixels) {
            using LevelOf = decltype(level_of);
            const LevelsInOrder<LevelOf> in_order{counts, level_of, 0, double(counts[0])};
            n_counted[p] = n_pixels;
            find_neighbours(in_order, n_pixels, shares, found.row(p));
        };
        return read_counts(planes, mask, status, find);
    } else {
        Scratch scratch;
        const Order order(scratch, n);
        if (!scratch.is_complete)
            return NO_MEMORY;
        for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
            const Pixel *x = planes.row(p);
            const uint8_t *counted = mask_of(p, planes, mask);
            Pixel low, high;
            status[p] = static_cast<uint8_t>(find_range(x, counted, n, low, high));
            if (status[p] & (HAS_INF | IS_EMPTY))
                continue;
            n_counted[p] = static_cast<double>(sort_pixels(x, counted, n, order));
            const auto in_order = [=](double place) {
                return static_cast<double>(
                    x[order.keys[static_cast<ptrdiff_t>(place)] & 0xffffffff]);
            };
            find_neighbours(in_order, n_counted[p], shares, found.row(p));
        }
        return DONE;
    }
}

/* Straight lines from points on, as many as a power of two; behind the last, points are infinite.
 * Intensities are moved by zero and multiplied with the unit first. */
struct Lines {
    const double *points, *slopes, *values;
    ptrdiff_t n;
    double unit, zero, largest;

    double operator()(double intensity) const {
        const double x = (intensity - zero) * unit;
        ptrdiff_t k = 0;
        for (ptrdiff_t step = n / 2; step; step /= 2)
            k += points[k + step] <= x ? step : 0;
        const double value = slopes[k] * (x - points[k]) + values[k];
        const double bounded = value < -largest ? -largest : value; /* NaN stays */
        return bounded > largest ? largest : bounded;
    }
};

/* Map n pixels by lines into out. */
template <class Pixel>
void map_each_by_lines(const Pixel *x, ptrdiff_t n, const Lines &lines, bool is_float32,
                       Output out) {
    double values[N_MASKED];
    for (ptrdiff_t start = 0; start < n; start += N_MASKED) {
        const ptrdiff_t size = least(N_MASKED, n - start);
        for (ptrdiff_t i = 0; i < size; ++i)
            values[i] = lines(static_cast<double>(x[start + i]));
        saturate(values, size, is_float32, out.from(start));
    }
}

/* The same for levels, by a table of those in a range. */
template <class Level>
void map_levels_by_lines(const Level *x, ptrdiff_t n, LevelRange range, const Lines &lines,
                         double *values, Output table, Output out) {
    for (ptrdiff_t k = 0; k < range.n_levels(); ++k)
        values[k] = lines(static_cast<double>(range.low + k));
    saturate(values, range.n_levels(), false, table);
    if constexpr (sizeof(Level) == 1)
        map(x, n, table.start, out);
    else
        map_range(x, n, range, table.start, out);
}

/* Map planes by lines (3 * n_planes, n): points, slopes and values of each plane, and its unit. */
template <class Pixel>
int map_by_lines(Planes<Pixel> planes, Output out, Array<const double> lines,
                 Array<const double> units, double zero) {
    constexpr bool is_float32 = std::is_same_v<Pixel, float>;
    constexpr double largest = std::numeric_limits<
        std::conditional_t<is_float32, float, double>>::max();
    const ptrdiff_t n = planes.shape[1];
    Scratch scratch;
    double *values = scratch.array<double>(N_LEVELS<Pixel>);
    const Output table = out.at(scratch.array<double>(N_LEVELS<Pixel>));
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Lines own{lines.row(3 * p), lines.row(3 * p + 1), lines.row(3 * p + 2),
                        lines.shape[1],   units[p],             zero,
                        largest};
        const Pixel *x = planes.row(p);
        if constexpr (std::is_integral_v<Pixel>) {
            const LevelRange range = sizeof(Pixel) == 1 ? LevelRange{0, 255}
                                                        : find_range(x, nullptr, n);
            if (range.n_levels() <= greatest<ptrdiff_t>(n, 256)) {
                map_levels_by_lines(x, n, range, own, values, table, out.from(p * n));
                continue;
            }
        }
        map_each_by_lines(x, n, own, is_float32, out.from(p * n));
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
