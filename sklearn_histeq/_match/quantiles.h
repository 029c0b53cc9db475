/* Order statistics of planes of levels.
 *
 * How the bits are kept: order statistics are copies.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/ranks.h"
#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* Set the order statistics of levels with so many pixels each: the k-th of n_quantiles is the
 * smallest with at least a share of (k + 1/2) / n_quantiles at or below it. The arithmetic of
 * shares is that of numpy.quantile's method "inverted_cdf". */
template <class LevelOf>
void find_quantiles(const int32_t *counts, const LevelOf &level_of, double n_counted,
                    ptrdiff_t n_quantiles, double *quantiles) {
    ptrdiff_t k = 0;
    double below = counts[0];
    for (ptrdiff_t q = 0; q < n_quantiles; ++q) {
        const double share = (static_cast<double>(q) + 0.5) / static_cast<double>(n_quantiles);
        const double place = n_counted * share - 1.0; /* pixel number ceil(place) is wanted */
        while (below - 1.0 < place)
            below += counts[++k];
        quantiles[q] = level_of(k);
    }
}

/* Call read(p, counts, level_of, n_counted) for each plane that has a counted pixel: level_of(k) is
 * the level of which there are counts[k]. Set the planes' status. */
template <class Level, class Read>
int read_counts(const Planes<Level> &planes, const Mask &mask, const Array<uint8_t> &status,
                const Read &read) {
    const ptrdiff_t n = planes.shape[1];
    Scratch scratch;
    int32_t *counts = scratch.array<int32_t>(n_counts(N_LEVELS<Level>));
    int32_t *ranks = scratch.array<int32_t>(N_LEVELS<Level>);
    int32_t *levels = scratch.array<int32_t>(N_LEVELS<Level>);
    Present *present = scratch.array<Present>(1);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Level *plane = planes.row(p);
        const uint8_t *counted = mask_of(p, planes, mask);
        const LevelRange range = find_range(plane, counted, n);
        status[p] = range.low > range.high ? IS_EMPTY : 0;
        double n_counted = static_cast<double>(n);
        if (counted && !status[p]) {
            n_counted = 0;
            for (ptrdiff_t i = 0; i < n; ++i)
                n_counted += counted[i] != 0;
        }
        if (status[p])
            continue;
        if constexpr (sizeof(Level) > 1)
            if (range.n_levels() > n) {
                rank_levels(plane, counted, n, *present, ranks, counts);
                for (ptrdiff_t i = 0; i < n; ++i)
                    if (!counted || counted[i])
                        levels[ranks[i]] = plane[i];
                read(p, counts, [=](ptrdiff_t k) { return static_cast<double>(levels[k]); },
                     n_counted);
                continue;
            }
        count_levels(plane, counted, n, range, counts);
        read(p, counts, [=](ptrdiff_t k) { return static_cast<double>(range.low + k); },
             n_counted);
    }
    return DONE;
}

/* Set the order statistics (n_planes, n_quantiles) of each plane, and its status. */
template <class Level>
int find_level_quantiles(Planes<Level> planes, Mask mask, Array<uint8_t> status,
                         Array<double> quantiles) {
    const auto read = [=](ptrdiff_t p, const int32_t *counts, auto level_of, double n_counted) {
        find_quantiles(counts, level_of, n_counted, quantiles.shape[1], quantiles.row(p));
    };
    return read_counts(planes, mask, status, read);
}

} // namespace histeq::HISTEQ_TARGET
