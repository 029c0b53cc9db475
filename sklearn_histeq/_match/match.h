/* Histogram matching: each plane gets a target's distribution.
 *
 * How the bits are kept: the CDF is a quotient of whole numbers; numpy.interp's arithmetic over the
 * target's shares, slope * (q - x0) + y0 in double precision, is kept, with its exact values at the
 * points. A value is computed once per distinct intensity.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/ranks.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"
#include "saturate.h"

namespace histeq::HISTEQ_TARGET {

/* A quantile function: values at increasing shares, and the slopes between them. */
struct Target {
    const double *shares, *values, *slopes;
    ptrdiff_t n;
    double n_below, n_counted; /* of a range of a plane's values: pixels below, and of the plane */
    double strength, zero;     /* how far pixels are moved, and what to subtract from them */

    double blend(double x, double value) const {
        return (1.0 - strength) * (x - zero) + strength * value;
    }
};

/* numpy.interp of a share at least as large as that of the call before, which has left j. */
inline double value_at(const Target &target, double share, ptrdiff_t &j) {
    while (j + 1 < target.n && target.shares[j + 1] <= share)
        ++j;
    const double distance = share - target.shares[j];
    if (j + 1 == target.n || distance <= 0) /* beyond the ends, or at a point */
        return target.values[j];
    return target.slopes[j] * distance + target.values[j];
}

/* Arrays that every plane of a call uses anew; those of levels, or those of reals. */
struct MatchArrays {
    int32_t *counts, *ranks;
    double *values; /* of the distinct intensities, and of NaN */
    double *table;  /* the same in the output type */
    Present *present;
    Order order;

    MatchArrays(Scratch &scratch, ptrdiff_t n, ptrdiff_t n_levels)
        : counts(scratch.array<int32_t>(greatest(n_counts(n_levels), n))),
          ranks(scratch.array<int32_t>(n_levels == 256 ? 0 : n)),
          values(scratch.array<double>(greatest(n_levels, n) + 1)),
          table(scratch.array<double>(greatest(n_levels, n) + 1)),
          present(scratch.array<Present>(n_levels > 256)),
          order(scratch, n_levels ? 0 : n) {}
};

/* Set the values of n distinct intensities with so many pixels each; without any (between levels
 * that are counted) the value of the one below. False where no pixel is counted. As a part of the
 * functions that call it, it takes longer. */
[[gnu::noinline]] inline bool match_values(const int32_t *counts, ptrdiff_t n, const Target &target,
                                           double *values) {
    double n_counted = 0, cumulative = target.n_below;
    ptrdiff_t j = 0, first = 0;
    for (ptrdiff_t k = 0; k < n; ++k)
        n_counted += counts[k];
    if (n_counted == 0)
        return false;
    n_counted = target.n_counted > 0 ? target.n_counted : n_counted;
    while (!counts[first])
        ++first;
    for (ptrdiff_t k = first; k < n; ++k) {
        cumulative += counts[k];
        values[k] = counts[k] ? value_at(target, cumulative / n_counted, j) : values[k - 1];
    }
    for (ptrdiff_t k = 0; k < first; ++k)
        values[k] = values[first];
    return true;
}

/* Write the values of pixels, moved by the target's strength, in the output type; index_of(i) is the
 * place of pixel i among the values. */
template <class Pixel, class IndexOf>
void blend_each(const Pixel *x, ptrdiff_t n, const IndexOf &index_of, const double *values,
                const Target &target, Output out) {
    double blended[N_MASKED];
    for (ptrdiff_t start = 0; start < n; start += N_MASKED) {
        const ptrdiff_t size = least(N_MASKED, n - start);
        for (ptrdiff_t i = 0; i < size; ++i)
            blended[i] = target.blend(x[start + i], values[index_of(start + i)]);
        saturate(blended, size, std::is_same_v<Pixel, float>, out.from(start));
    }
}

/* Match one plane of levels; returns its status. */
template <class Level>
int match_plane(const Level *x, const uint8_t *mask, ptrdiff_t n, const Target &target,
                const MatchArrays &arrays, Output out) {
    const Output table = out.at(arrays.table);
    const int32_t *ranks = arrays.ranks;
    const LevelRange range = find_range(x, mask, n);
    if (range.low > range.high)
        return IS_EMPTY;
    if constexpr (sizeof(Level) > 1)
        if (range.n_levels() > n) {
            const int32_t n_present =
                rank_levels(x, mask, n, *arrays.present, arrays.ranks, arrays.counts);
            match_values(arrays.counts, n_present, target, arrays.values);
            if (target.strength < 1) {
                const auto rank_of = [=](ptrdiff_t i) { return ranks[i]; };
                blend_each(x, n, rank_of, arrays.values, target, out);
                return 0;
            }
            saturate(arrays.values, n_present, false, table);
            map(arrays.ranks, n, table.start, out);
            return 0;
        }
    count_levels(x, mask, n, range, arrays.counts);
    match_values(arrays.counts, range.n_levels(), target, arrays.values);
    if (target.strength < 1) {
        const auto place_of = [=](ptrdiff_t i) {
            return least<ptrdiff_t>(greatest<ptrdiff_t>(x[i], range.low), range.high) - range.low;
        };
        blend_each(x, n, place_of, arrays.values, target, out);
        return 0;
    }
    saturate(arrays.values, range.n_levels(), false, table);
    map_range(x, n, range, table.start, out);
    return 0;
}

/* Match one plane of bytes, by a table of all levels; returns its status. */
inline int match_plane(const uint8_t *x, const uint8_t *mask, ptrdiff_t n, const Target &target,
                const MatchArrays &arrays, Output out) {
    const Output table = out.at(arrays.table);
    count_levels(x, mask, n, {0, 255}, arrays.counts);
    if (!match_values(arrays.counts, 256, target, arrays.values))
        return IS_EMPTY;
    for (int k = 0; target.strength < 1 && k < 256; ++k)
        arrays.values[k] = target.blend(k, arrays.values[k]);
    saturate(arrays.values, 256, false, table);
    map(x, n, table.start, out);
    return 0;
}

/* Match one plane of reals by sorting it; returns its status. */
template <class Real>
int match_reals(const Real *x, const uint8_t *mask, ptrdiff_t n, const Target &target,
                const MatchArrays &arrays, Output out) {
    Real low, high;
    const Output table = out.at(arrays.table);
    const int status = find_range(x, mask, n, low, high);
    if (status & (HAS_INF | IS_EMPTY))
        return status;
    const int32_t n_distinct = rank_pixels(x, mask, n, arrays.order, arrays.ranks, arrays.counts);
    match_values(arrays.counts, n_distinct, target, arrays.values);
    arrays.values[n_distinct] = std::numeric_limits<double>::quiet_NaN();
    if (target.strength < 1) {
        const int32_t *ranks = arrays.ranks;
        const auto rank_of = [=](ptrdiff_t i) { return ranks[i]; };
        blend_each(x, n, rank_of, arrays.values, target, out);
        return status;
    }
    saturate(arrays.values, n_distinct + 1, std::is_same_v<Real, float>, table);
    map(arrays.ranks, n, table.start, out);
    return status;
}

/* Map the planes of one channel to a target distribution, into the same rows of out. lines (3, n)
 * are increasing shares of the pixels, the values there, and the slopes behind them. more: where a
 * row is a range of a plane's values, how many pixels of the plane are below, and all of them, else
 * 0; and the target's strength and zero. */
template <class Pixel>
int match(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status, ptrdiff_t channel,
          ptrdiff_t n_channels, Array<const double> lines, Array<const double> more) {
    const ptrdiff_t n = planes.shape[1];
    const Target target{lines.row(0), lines.row(1), lines.row(2), lines.shape[1],
                        more[0],      more[1],      more[2],      more[3]};
    Scratch scratch;
    const MatchArrays arrays(scratch, n, N_LEVELS<Pixel>);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = channel; p < planes.shape[0]; p += n_channels) {
        const uint8_t *counted = mask_of(p, planes, mask);
        int found;
        if constexpr (std::is_floating_point_v<Pixel>)
            found = match_reals(planes.row(p), counted, n, target, arrays, out.from(p * n));
        else
            found = match_plane(planes.row(p), counted, n, target, arrays, out.from(p * n));
        status[p] = static_cast<uint8_t>(found);
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
