/* The steps of equalization one by one, for formulas without a kernel of their own and for planes
 * that threads share: counts in bins, transfer functions applied to planes, and their values
 * blended with the planes.
 *
 * How the bits are kept: see reals.h; what is between the steps, the values of a transfer function,
 * is NumPy's work.
 */
#pragma once

#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* Add the counted pixels of plane p to row p % n_rows of counts (n_rows, n_bins). The bins are
 * those of numpy.histogram over that row's range [low, high]. HAS_NAN in the status says that not
 * all pixels count; REFER is added where the counts are not certain, and nothing is counted. */
template <class Real>
int add_bin_counts(Planes<Real> planes, Mask mask, Array<uint8_t> status, Array<const double> lows,
                   Array<const double> highs, Array<int64_t> counts) {
    Scratch scratch;
    Grid<Real> grid;
    const ptrdiff_t n = planes.shape[1], n_rows = counts.shape[0], n_bins = counts.shape[1];
    grid.thresholds = scratch.array<Real>(n_bins + 1);
    int32_t *intervals = scratch.array<int32_t>(N_BLOCK);
    int32_t *of_plane = scratch.array<int32_t>(n_counts(n_bins + 1));
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Real low = static_cast<Real>(lows[p % n_rows]);
        const Real high = static_cast<Real>(highs[p % n_rows]);
        if (!make_grid(low, high, n_bins, false, grid)) {
            status[p] |= REFER;
            continue;
        }
        const uint8_t *counted = mask_of(p, planes, mask);
        const bool is_weighted = counted || (status[p] & HAS_NAN);
        for (ptrdiff_t start = 0; start < n; start += N_COUNTED) {
            count_reals(planes.row(p) + start, counted ? counted + start : nullptr, is_weighted,
                        least(N_COUNTED, n - start), grid, intervals, N_BLOCK, of_plane);
            join_bins(grid, of_plane);
            for (ptrdiff_t k = 0; k < n_bins; ++k)
                counts.row(p % n_rows)[k] += of_plane[k];
        }
    }
    return DONE;
}

/* Map plane p by numpy.interp between the values (n_planes, n_bins) at the centers of equal bins
 * over [low, high], or at their left edges; where counts (n_planes, n_bins) are given, bins without
 * any are left out. REFER is added to the status where that is not certain, and nothing is
 * written. */
template <class Real>
int apply_curves(Planes<Real> planes, Array<uint8_t> status, Array<const double> lows,
                 Array<const double> highs, Array<const double> values,
                 Array<const int64_t> counts, bool at_centers, bool is_float32, double output_max,
                 Output out) {
    Scratch scratch;
    Grid<Real> grid;
    const ptrdiff_t n = planes.shape[1], n_bins = values.shape[1];
    grid.thresholds = scratch.array<Real>(2 * n_bins + 1);
    Segment *segments = scratch.array<Segment>(n_bins + 2);
    int32_t *intervals = scratch.array<int32_t>(N_BLOCK);
    double *buffer = scratch.array<double>(N_BLOCK);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Real low = static_cast<Real>(lows[p]), high = static_cast<Real>(highs[p]);
        const int64_t *of_plane = counts.start ? counts.row(p) : nullptr;
        if (!make_grid(low, high, n_bins, at_centers, grid) ||
            !join_segments(grid, values.row(p), of_plane, segments))
            status[p] |= REFER;
        else
            interpolate_anew(planes.row(p), n, grid, segments, {is_float32, output_max}, intervals,
                             buffer, out.from(p * n));
    }
    return DONE;
}

/* Write levels less their plane's least counted one, the other pixels brought into the counted
 * range. The status is REFER where the levels exceed 65,535; then nothing is written. */
template <class Wide>
int narrow_planes(Planes<Wide> planes, Mask mask, Array<uint8_t> status, Array<uint16_t> out) {
    const ptrdiff_t n = planes.shape[1];
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Wide *plane = planes.row(p);
        const uint8_t *counted = mask_of(p, planes, mask);
        const auto [low, high] = find_wide_range(plane, counted, n);
        status[p] = low > high ? IS_EMPTY : 0;
        if (low <= high && static_cast<uint64_t>(high) - static_cast<uint64_t>(low) > 65535)
            status[p] = REFER;
        for (ptrdiff_t i = 0; !status[p] && i < n; ++i)
            out.row(p)[i] = static_cast<uint16_t>(least(greatest(plane[i], low), high) - low);
    }
    return DONE;
}

/* Write (1 - strength) * u + strength * mapped, u = (x - low) / ((high - low) / top) for pixels x,
 * clipped to [low, high] if is_clipped. `mapped` has the shape of the planes, and may be out. */
template <class Real>
int blend(Planes<Real> planes, Array<const Real> mapped, double strength, double low, double high,
          bool is_clipped, double top, Output out) {
    const ptrdiff_t n = planes.shape[0] * planes.shape[1];
    const double step = (high - low) / top;
    double buffer[N_BLOCK];
    for (ptrdiff_t start = 0; start < n; start += N_BLOCK) {
        const ptrdiff_t size = least(N_BLOCK, n - start);
        const Real *x = planes.start + start, *values = mapped.start + start;
        for (ptrdiff_t i = 0; i < size; ++i) {
            double v = x[i];
            if (is_clipped)
                v = v < low ? low : v > high ? high : v; /* NaN stays */
            v -= low;
            v = step == 1.0 ? v : v / step; /* spares a division */
            buffer[i] = (1.0 - strength) * v + strength * values[i];
        }
        store(buffer, size, {std::is_same_v<Real, float>, top}, out.from(start));
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
