/* Equalization of whole planes by the formulas that have a kernel: those of
 * skimage.exposure.equalize_hist, of the NumPy recipe, of cv2.equalizeHist and of
 * PIL.ImageOps.equalize. Counts, transfer function and values of a plane in turn, while it is in
 * the cache.
 *
 * How the bits are kept: see levels.h and reals.h; each formula follows its function in
 * _arithmetic/transfer.py operation by operation. OpenCV's is in single precision; Pillow's whole
 * numbers stay below 2**53, where doubles are exact. A plane for which that is not certain (REFER)
 * is left to the caller.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* The formulas that have a kernel, by their numbers in _arithmetic/conventions.py. */
enum { SKIMAGE_UNIFORM, NUMPY_RECIPE, OPENCV_TABLE, PILLOW_TABLE };

/* How counts become values. */
struct EqualizeRule {
    ptrdiff_t n_bins; /* 0: one bin per level */
    int formula;

    double output_max() const { return formula == SKIMAGE_UNIFORM ? 1.0 : 255.0; }
};

/* Planes of up to so many pixels keep the intervals that counting found for the interpolation. */
constexpr ptrdiff_t N_KEPT = 262144;

/* Arrays that every plane of a call uses anew. */
struct EqualizeArrays {
    ptrdiff_t n_kept;
    double *thresholds; /* (2 n_bins + 1,), of the pixels' real type */
    int32_t *counts;
    double *values; /* (n_bins,), of the transfer function at its points */
    Segment *segments;
    int32_t *intervals; /* of n_kept reals; or of the levels */
    double *buffer;
    double *levels; /* levels as doubles */
    int32_t *level_counts;
    double *level_values;
    double *table; /* of the output type */
    uint16_t *ranks;
    Present *present;

    /* For planes of n_pixels; n_levels: 256, 65536 or, for reals, 0. */
    EqualizeArrays(Scratch &scratch, ptrdiff_t n_pixels, ptrdiff_t n_bins, ptrdiff_t n_levels) {
        n_kept = greatest(N_BLOCK, least(n_pixels, N_KEPT));
        thresholds = scratch.array<double>(2 * n_bins + 1);
        counts = scratch.array<int32_t>(n_counts(2 * n_bins + 1));
        values = scratch.array<double>(n_bins);
        segments = scratch.array<Segment>(n_bins + 2);
        intervals = scratch.array<int32_t>(greatest(n_kept, n_levels));
        buffer = scratch.array<double>(N_BLOCK);
        levels = scratch.array<double>(n_levels);
        level_counts = scratch.array<int32_t>(n_counts(n_levels));
        level_values = scratch.array<double>(n_levels);
        table = scratch.array<double>(n_levels);
        ranks = scratch.array<uint16_t>(n_levels > 256 ? n_levels : 0);
        present = scratch.array<Present>(n_levels > 256);
    }
};

/* Formulas ----------------------------------------------------------------------------------- */

/* OpenCV's table of 256 from cumulated counts: rint(float32(cum - first) * scale), 0 for no more
 * than the first count. */
inline void opencv_levels(const int32_t *cumulative, int32_t first, float scale, uint8_t *table) {
    for (int i = 0; i < 256; ++i) {
        const int32_t above = cumulative[i] > first ? cumulative[i] - first : 0;
        const float value = static_cast<float>(above) * scale; /* at most 255.5 */
        table[i] = static_cast<uint8_t>(static_cast<int32_t>((value + MAGIC_32) - MAGIC_32));
    }
}

/* Pillow's table of 256 from cumulated counts: min(255, (cum_before + step // 2) // step). */
inline void pillow_levels(const int32_t *cumulative, int32_t step, uint8_t *table) {
    const double half = step / 2, divisor = step;
    table[0] = static_cast<uint8_t>(half / divisor);
    for (int i = 1; i < 256; ++i) {
        /* a quotient of whole numbers below 2**32 is never rounded up to a whole number */
        const double quotient = (static_cast<double>(cumulative[i - 1]) + half) / divisor;
        table[i] = static_cast<uint8_t>(static_cast<int32_t>(quotient < 255.0 ? quotient : 255.0));
    }
}

/* OpenCV's or Pillow's table of 256; n_low and n_high are the counts of the range's ends. */
inline void peer_levels(const int32_t *cumulative, int32_t n_low, int32_t n_high, int formula,
                        uint8_t *table) {
    const int32_t n_pixels = cumulative[255], step = (n_pixels - n_high) / 255;
    if (n_low == n_pixels || (formula == PILLOW_TABLE && step == 0))
        for (int level = 0; level < 256; ++level)
            table[level] = static_cast<uint8_t>(level);
    else if (formula == OPENCV_TABLE)
        opencv_levels(cumulative, n_low, 255.0f / static_cast<float>(n_pixels - n_low), table);
    else
        pillow_levels(cumulative, step, table);
}

/* The CDF in the pixels' real type; counts are cumulated. */
template <class Real> void cdf_values(int32_t *counts, ptrdiff_t n_bins, double *values) {
    cumulate(counts, n_bins);
    divide(counts, n_bins, values);
    for (ptrdiff_t k = 0; k < n_bins; ++k)
        values[k] = static_cast<Real>(values[k]);
}

/* 255 * cdf / cdf[-1], cdf the cumulated density counts / widths / n. */
template <class Real>
void recipe_values(const Real *edges, const int32_t *counts, ptrdiff_t n_bins, double *values) {
    double total = 0, cumulative = 0;
    for (ptrdiff_t k = 0; k < n_bins; ++k)
        total += counts[k];
    for (ptrdiff_t k = 0; k < n_bins; ++k)
        values[k] = counts[k] / static_cast<double>(edges[k + 1] - edges[k]) / total;
    for (ptrdiff_t k = 0; k < n_bins; ++k)
        values[k] = cumulative = k ? cumulative + values[k] : values[0];
    for (ptrdiff_t k = 0; k < n_bins; ++k)
        values[k] = 255.0 * values[k] / cumulative;
}

/* Set the segments of a plane's transfer function from arrays.counts of its intervals. */
template <class Real>
bool make_segments(const Grid<Real> &grid, int formula, const EqualizeArrays &arrays) {
    const ptrdiff_t n_bins = grid.last >> grid.halves;
    join_bins(grid, arrays.counts);
    if (formula == SKIMAGE_UNIFORM)
        cdf_values<Real>(arrays.counts, n_bins, arrays.values);
    else
        recipe_values(grid.thresholds, arrays.counts, n_bins, arrays.values);
    return join_segments(grid, arrays.values, nullptr, arrays.segments);
}

/* Reals -------------------------------------------------------------------------------------- */

/* Equalize one plane of reals, in bins over a given range or its own; returns its status. */
template <class Real>
int equalize_reals(const Real *x, const uint8_t *mask, ptrdiff_t n, const double *given,
                   const EqualizeRule &rule, const EqualizeArrays &arrays, Output out) {
    const double output_max = rule.output_max();
    const bool halves = rule.formula == SKIMAGE_UNIFORM;
    Real low, high;
    Grid<Real> grid;
    grid.thresholds = reinterpret_cast<Real *>(arrays.thresholds);
    const int status = find_range(x, mask, n, low, high);
    if (status & (HAS_INF | IS_EMPTY))
        return status;
    if (!take_range(given, low, high) && low == high) {
        fill_counted(x, n, output_max, out);
        return status;
    }
    if (!make_grid(low, high, rule.n_bins, halves, grid))
        return status | REFER;
    count_reals(x, mask, mask || (status & HAS_NAN), n, grid, arrays.intervals, arrays.n_kept,
                arrays.counts);
    if (!make_segments(grid, rule.formula, arrays))
        return status | REFER;
    const Storage storage{halves && std::is_same_v<Real, float>, output_max};
    if (n <= arrays.n_kept)
        interpolate(x, arrays.intervals, n, grid, arrays.segments, storage, arrays.buffer, out);
    else
        interpolate_anew(x, n, grid, arrays.segments, storage, arrays.intervals, arrays.buffer,
                         out);
    return status;
}

/* Levels ------------------------------------------------------------------------------------- */

/* Set the lookup table of all 256 levels from arrays.level_counts, which are cumulated. */
inline void byte_table(LevelRange range, int formula, const EqualizeArrays &arrays,
                       Output table) {
    int32_t *counts = arrays.level_counts;
    const int32_t n_low = counts[range.low], n_high = counts[range.high];
    double *values = arrays.level_values;
    cumulate(counts, 256);
    if (formula == SKIMAGE_UNIFORM) {
        for (int32_t level = 0; level < range.low; ++level)
            counts[level] = n_low;
        divide(counts, 256, values);
        return store(values, 256, {false, 1.0}, table);
    }
    uint8_t bytes[256];
    peer_levels(counts, n_low, n_high, formula, bytes);
    if (table.item_size() == 1) {
        std::memcpy(table.start, bytes, 256);
        return;
    }
    for (int level = 0; level < 256; ++level)
        values[level] = bytes[level];
    store(values, 256, {false, 255.0}, table);
}

/* Equalize one plane of bytes with one bin per level; returns its status. */
inline int equalize_bytes(const uint8_t *x, const uint8_t *mask, ptrdiff_t n, int formula,
                   const EqualizeArrays &arrays, Output out) {
    LevelRange range{0, 255};
    const int32_t *counts = arrays.level_counts;
    const Output table = out.at(arrays.table);
    count_levels(x, mask, n, range, arrays.level_counts);
    while (range.low < 256 && !counts[range.low])
        ++range.low;
    if (range.low == 256)
        return IS_EMPTY;
    while (!counts[range.high])
        --range.high;
    byte_table(range, formula, arrays, table);
    map(x, n, table.start, out);
    return 0;
}

/* Set arrays.level_values of the levels of a range, binned as doubles by arrays.level_counts; false
 * where that is not certain to be exact. The bins span [low, high]. */
inline bool bin_levels(LevelRange range, double low, double high, const EqualizeRule &rule,
                       const EqualizeArrays &arrays) {
    const ptrdiff_t n_levels = range.n_levels();
    Grid<double> grid;
    grid.thresholds = arrays.thresholds;
    for (ptrdiff_t i = 0; i < n_levels; ++i)
        arrays.levels[i] = static_cast<double>(range.low + i);
    if (!make_grid(low, high, rule.n_bins, rule.formula == SKIMAGE_UNIFORM, grid))
        return false;
    locate(arrays.levels, n_levels, grid, arrays.intervals);
    std::memset(arrays.counts, 0, static_cast<size_t>(grid.last + 1) * sizeof(int32_t));
    for (ptrdiff_t i = 0; i < n_levels; ++i)
        arrays.counts[arrays.intervals[i]] += arrays.level_counts[i];
    if (!make_segments(grid, rule.formula, arrays))
        return false;
    interpolate_doubles(arrays.levels, arrays.intervals, n_levels, grid, arrays.segments,
                        arrays.level_values);
    return true;
}

/* Equalize one plane by the ranks of the levels that it has: for fewer pixels than levels. */
template <class Level>
void equalize_ranks(const Level *x, const uint8_t *mask, ptrdiff_t n, LevelRange range,
                    const EqualizeArrays &arrays, Output out) {
    int32_t *counts = arrays.level_counts;
    const Output table = out.at(arrays.table);
    const int32_t n_present = find_present(x, mask, n, range, *arrays.present);
    find_ranks(x, n, range, *arrays.present, arrays.ranks);
    count_levels(arrays.ranks, mask, n, {0, n_present - 1}, counts);
    cumulate(counts, n_present);
    divide(counts, n_present, arrays.level_values);
    store(arrays.level_values, n_present, {false, 1.0}, table);
    map(arrays.ranks, n, table.start, out);
}

/* Equalize one plane of levels; returns its status. */
template <class Level>
int equalize_levels(const Level *x, const uint8_t *mask, ptrdiff_t n, const double *given,
                    const EqualizeRule &rule, const EqualizeArrays &arrays, Output out) {
    LevelRange range = find_range(x, mask, n);
    const double output_max = rule.output_max();
    if (range.low > range.high)
        return IS_EMPTY;
    double low = range.low, high = range.high;
    if (take_range(given, low, high)) {
        range = find_range(x, nullptr, n); /* levels beyond the counted ones differ, too */
    } else if (low == high) {
        fill_counted(x, n, output_max, out);
        return 0;
    }
    const ptrdiff_t n_levels = range.n_levels();
    if (rule.n_bins > 0 && n_levels > n) { /* as doubles, one by one */
        for (ptrdiff_t i = 0; i < n; ++i)
            arrays.levels[i] = x[i];
        return equalize_reals(arrays.levels, mask, n, given, rule, arrays, out);
    }
    if constexpr (sizeof(Level) > 1)
        if (rule.n_bins == 0 && n_levels > n) {
            equalize_ranks(x, mask, n, range, arrays, out);
            return 0;
        }
    count_levels(x, mask, n, range, arrays.level_counts);
    if (rule.n_bins == 0) {
        cumulate(arrays.level_counts, n_levels);
        divide(arrays.level_counts, n_levels, arrays.level_values);
    } else if (!bin_levels(range, low, high, rule, arrays)) {
        return REFER;
    }
    const Output table = out.at(arrays.table);
    store(arrays.level_values, n_levels, {false, output_max}, table);
    map_range(x, n, range, table.start, out);
    return 0;
}

/* Equalize one plane; returns its status. */
template <class Pixel>
int equalize_plane(const Pixel *x, const uint8_t *mask, ptrdiff_t n, const double *given,
                   const EqualizeRule &rule, const EqualizeArrays &arrays, Output out) {
    if constexpr (std::is_floating_point_v<Pixel>)
        return equalize_reals(x, mask, n, given, rule, arrays, out);
    else if constexpr (sizeof(Pixel) > 1)
        return equalize_levels(x, mask, n, given, rule, arrays, out);
    else
        return rule.n_bins ? equalize_levels(x, mask, n, given, rule, arrays, out)
                           : equalize_bytes(x, mask, n, rule.formula, arrays, out);
}

/* Equalize each plane by its own CDF into the same row of out, and set its status. n_bins = 0: one
 * bin per level; formula: the number of one that has a kernel. ranges (..., 2), if given, are what
 * the bins of each plane span; NaN: its own range. */
template <class Pixel>
int equalize(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status, ptrdiff_t n_bins,
             int formula, Array<const double> ranges) {
    const ptrdiff_t n = planes.shape[1];
    const EqualizeRule rule{n_bins, formula};
    Scratch scratch;
    const EqualizeArrays arrays(scratch, n, n_bins, N_LEVELS<Pixel>);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p)
        status[p] = static_cast<uint8_t>(equalize_plane(
            planes.row(p), mask_of(p, planes, mask), n, range_of(ranges, p), rule, arrays,
            out.from(p * n)));
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
