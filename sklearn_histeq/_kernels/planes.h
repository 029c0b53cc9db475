/* What several methods ask of planes: ranges, counts of levels, ranks, and values looked up.
 *
 * How the bits are kept: see levels.h, reals.h and ranks.h. Row p of the pixels belongs to row
 * p % n_rows of counts and tables, so that planes may share a row with the other planes of their
 * channel.
 */
#pragma once

#include "levels.h"
#include "ranks.h"
#include "reals.h"
#include "types.h"

namespace histeq::HISTEQ_TARGET {

/* Set the status and the range of the counted pixels of each plane; low > high where none is. */
template <class Pixel>
int find_ranges(Planes<Pixel> planes, Mask mask, Array<uint8_t> status, Array<double> lows,
                Array<double> highs) {
    const ptrdiff_t n = planes.shape[1];
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const uint8_t *counted = mask_of(p, planes, mask);
        if constexpr (std::is_floating_point_v<Pixel>) {
            Pixel low, high;
            status[p] = static_cast<uint8_t>(find_range(planes.row(p), counted, n, low, high));
            lows[p] = low, highs[p] = high;
        } else {
            const LevelRange range = find_range(planes.row(p), counted, n);
            status[p] = range.low > range.high ? IS_EMPTY : 0;
            lows[p] = range.low, highs[p] = range.high;
        }
    }
    return DONE;
}

/* Add the counted pixels of plane p to row p % n_rows of counts (n_rows, n_levels). */
template <class Level>
int add_level_counts(Planes<Level> planes, Mask mask, Array<int64_t> counts) {
    constexpr ptrdiff_t n_levels = N_LEVELS<Level>;
    const ptrdiff_t n = planes.shape[1];
    int32_t of_plane[4 * (256 + N_BEYOND)];
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Level *plane = planes.row(p);
        const uint8_t *counted = mask_of(p, planes, mask);
        int64_t *row = counts.row(p % counts.shape[0]);
        if constexpr (n_levels == 256) {
            for (ptrdiff_t start = 0; start < n; start += N_COUNTED) {
                const uint8_t *of_part = counted ? counted + start : nullptr;
                count_levels(plane + start, of_part, least(N_COUNTED, n - start), {0, 255},
                             of_plane);
                for (ptrdiff_t level = 0; level < n_levels; ++level)
                    row[level] += of_plane[level];
            }
        } else {
            for (ptrdiff_t i = 0; i < n; ++i)
                row[plane[i]] += !counted || counted[i];
        }
    }
    return DONE;
}

/* Set the rank of each pixel among the distinct counted values of its plane, and the counts
 * (n_planes, n_pixels) of these, followed by zeros; tells the largest number of distinct values. */
template <class Pixel>
int rank_planes(Planes<Pixel> planes, Mask mask, Array<int32_t> ranks, Array<int32_t> counts) {
    constexpr bool has_levels = sizeof(Pixel) == 2;
    const ptrdiff_t n = planes.shape[1];
    int32_t n_distinct = 0;
    Scratch scratch;
    const Order order(scratch, has_levels ? 0 : n);
    Present *present = scratch.array<Present>(has_levels);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Pixel *plane = planes.row(p);
        const uint8_t *counted = mask_of(p, planes, mask);
        int32_t found;
        if constexpr (has_levels)
            found = rank_levels(plane, counted, n, *present, ranks.row(p), counts.row(p));
        else
            found = rank_pixels(plane, counted, n, order, ranks.row(p), counts.row(p));
        std::memset(counts.row(p) + found, 0, static_cast<size_t>(n - found) * sizeof(int32_t));
        n_distinct = greatest(n_distinct, found);
    }
    return n_distinct;
}

/* out = table[x], plane p by row p % n_rows of tables (n_rows, width). */
template <class Index> int look_up(Planes<Index> planes, Values tables, Output out) {
    const ptrdiff_t n = planes.shape[1];
    if (tables.first.type != out.type)
        return NOT_WRITTEN;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p)
        map(planes.row(p), n, tables.row(p % tables.n_rows), out.from(p * n));
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
