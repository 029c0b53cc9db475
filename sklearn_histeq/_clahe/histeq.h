/* The package's own CLAHE: a clipped CDF per tile, blended between tiles.
 *
 * How the bits are kept: everything is in double precision in the order of operations of
 * the reference engine. The clipped counts of a tile are accumulated from its lowest bin, all
 * bins one after the other, eight tiles side by side; no multiply-add is contracted. Bytes look
 * their values up in tables of levels, other pixels find theirs between two points.
 *
 * The words: lanes are tiles side by side, and a code is an entry of a tile's table, as tiles.h
 * says; a grid has the edges and the centers of the bins in turn, as in reals.h, so that a half-bin
 * lies between an edge and a center. A point is a bin center.
 *
 * To read: begin with `clahe`, the last function of the section "Planes". For each plane it calls
 * find_bins and clahe_slices. The latter calls build_tables (count, clip, cumulate) for each row
 * of tiles, and blend_row for each row of pixels.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"
#include "tiles.h"

namespace histeq::HISTEQ_TARGET {

/* Arrays that every plane of a call uses anew. */
struct HisteqArrays {
    ptrdiff_t lanes;         /* of a row of tiles */
    Grid<double> grid;       /* of integers and doubles */
    Grid<float> float_grid;  /* of floats */
    int32_t *counts;         /* (n_bins + 1, lanes), the last of pixels that do not count */
    int32_t *of_plane;       /* (n_bins + 1, lanes), of the whole plane, in column 0 */
    int32_t *n_counted;      /* (lanes,), pixels of each tile */
    double *cdfs;            /* (n_bins + 1, lanes) */
    double *tables;          /* 2 of (n_codes + 1, lanes) */
    double *layers = nullptr; /* of volumes 2 of (n_rows, n_bins, lanes): the CDFs of two layers */
    double *points, *gaps;   /* (n_bins,), bin centers, and the distances to the next */
    int32_t *codes, *bins;   /* (256,), a level's entry in the tables and its bin, times lanes */
    int32_t *below;          /* (256,), the point below a level */
    double *weights;         /* (256,), of the levels from the least on */
    double *level_weights;   /* (256,), of all levels */
    int32_t *intervals, *table_index; /* (width,) */
    double *row, *row_weights;        /* (width,) */
    double *levels;          /* (256,) */

    HisteqArrays(Scratch &scratch, ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t n_bins)
        : lanes(lanes) {
        const ptrdiff_t n_codes = greatest(ptrdiff_t{256}, n_bins) + 1;
        grid.thresholds = scratch.array<double>(2 * n_bins + 1);
        float_grid.thresholds = reinterpret_cast<float *>(grid.thresholds);
        counts = scratch.array<int32_t>((n_bins + 1) * lanes);
        of_plane = scratch.array<int32_t>((n_bins + 1) * lanes);
        n_counted = scratch.array<int32_t>(lanes);
        cdfs = scratch.array<double>((n_bins + 1) * lanes);
        tables = scratch.array<double>((2 * n_codes + 1) * lanes);
        points = scratch.array<double>(n_bins);
        gaps = scratch.array<double>(n_bins);
        codes = scratch.array<int32_t>(3 * 256);
        bins = codes + 256, below = codes + 2 * 256;
        weights = scratch.array<double>(3 * 256);
        level_weights = weights + 256, levels = weights + 2 * 256;
        intervals = scratch.array<int32_t>(greatest(width, ptrdiff_t{256}));
        table_index = scratch.array<int32_t>(width);
        row = scratch.array<double>(width);
        row_weights = scratch.array<double>(width);
        if (scratch.is_complete) { /* what lies beyond the last point and tile has the weight 0 */
            std::memset(cdfs, 0, static_cast<size_t>((n_bins + 1) * lanes) * sizeof(double));
            std::memset(tables, 0, static_cast<size_t>((2 * n_codes + 1) * lanes) * sizeof(double));
        }
    }

    template <class Pixel> auto &grid_of() {
        if constexpr (std::is_same_v<Pixel, float>)
            return float_grid;
        else
            return grid;
    }

    /* The CDFs of row k of a layer of a volume, of which two layers are kept. */
    double *layer_row(ptrdiff_t layer, ptrdiff_t k, ptrdiff_t n_rows, ptrdiff_t n_bins) const {
        return layers + ((layer & 1) * n_rows + k) * n_bins * lanes;
    }
};

/* A plane, a volume, or a part of these, while it is worked on. */
template <class Pixel> struct HisteqPlane {
    const Pixel *x;
    const uint8_t *mask;
    ptrdiff_t n;
    bool has_uncounted = false;    /* not all pixels count */
    bool has_plane_counts = false; /* arrays.of_plane is known */
    /* Bytes look up the values of their levels, where these are fewer than the pixels are worth. */
    bool has_level_tables = false;
    LevelRange range = {0, 0}; /* of bytes */
    /* The CDFs of the tiles, with row k of a layer `step` behind row k - 1; nullptr: the tiles are
     * counted when their turn comes. */
    const double *cdfs = nullptr;
    ptrdiff_t step = 0;
};

constexpr ptrdiff_t N_WEIGHED = 128; /* pixels whose gaps are collected at once */

/* Where pixels lie --------------------------------------------------------------------------- */

/* Set the bin centers, and the gaps between them; there is no gap beyond the last. */
template <class Real>
void set_points(const Grid<Real> &grid, ptrdiff_t n_bins, const HisteqArrays &arrays) {
    for (ptrdiff_t k = 0; k < n_bins; ++k)
        arrays.points[k] = grid.thresholds[2 * k + 1];
    for (ptrdiff_t k = 0; k + 1 < n_bins; ++k)
        arrays.gaps[k] = arrays.points[k + 1] - arrays.points[k];
    arrays.gaps[n_bins - 1] = std::numeric_limits<double>::infinity();
}

/* The point below each pixel, by its half-bin, and how far it is on the way to the next; NaN stays.
 * Gaps are collected first, so that divisions are done in vectors. */
inline void weigh(const double *x, const int32_t *intervals, ptrdiff_t n,
                  const HisteqArrays &arrays, int32_t *below, double *weights) {
    const double *points = arrays.points, *gaps = arrays.gaps;
    double gap[N_WEIGHED];
    for (ptrdiff_t start = 0; start < n; start += N_WEIGHED) {
        const ptrdiff_t size = least(n - start, N_WEIGHED);
        for (ptrdiff_t j = 0; j < size; ++j) {
            const ptrdiff_t i = start + j;
            const int32_t point = ((intervals[i] + 1) >> 1) - 1, k = point > 0 ? point : 0;
            below[i] = k;
            weights[i] = x[i] - points[k];
            gap[j] = gaps[k];
        }
        for (ptrdiff_t j = 0; j < size; ++j) {
            const double offset = weights[start + j];
            weights[start + j] = (offset < 0.0 ? 0.0 : offset) / gap[j];
        }
    }
}

/* Set the bin, the code, the point below and the weight of each level of a plane of bytes. Its code
 * is the place of the level, or the point below. */
inline void set_levels(LevelRange range, bool has_level_tables, const HisteqArrays &arrays) {
    const ptrdiff_t n_levels = range.n_levels(), lanes = arrays.lanes;
    const int32_t last = (arrays.grid.last >> 1) - 1;
    for (ptrdiff_t i = 0; i < n_levels; ++i)
        arrays.levels[i] = static_cast<double>(range.low + i);
    locate(arrays.levels, n_levels, arrays.grid, arrays.intervals);
    weigh(arrays.levels, arrays.intervals, n_levels, arrays, arrays.below, arrays.weights);
    for (int32_t level = 0; level < 256; ++level) {
        const int32_t code = least(greatest(level, range.low), range.high) - range.low;
        const int32_t entry = has_level_tables ? code : arrays.below[code];
        arrays.codes[level] = static_cast<int32_t>(entry * lanes);
        arrays.level_weights[level] = arrays.weights[code];
        arrays.bins[level] = static_cast<int32_t>(least(arrays.intervals[code] >> 1, last) * lanes);
    }
}

/* Set the half-bin of each pixel of a row, and the pixels as doubles. */
template <class Pixel> void locate_row(const Pixel *x, ptrdiff_t n, HisteqArrays &arrays) {
    for (ptrdiff_t i = 0; i < n; ++i)
        arrays.row[i] = static_cast<double>(x[i]);
    if constexpr (std::is_same_v<Pixel, float>)
        locate(x, n, arrays.float_grid, arrays.intervals);
    else
        locate(arrays.row, n, arrays.grid, arrays.intervals);
}

/* Set table_index to the bins of n pixels from a place on, times lanes; pixels that do not count
 * have the bin n_bins. Returns table_index. */
template <class Pixel>
int32_t *bin_row(const HisteqPlane<Pixel> &plane, ptrdiff_t start, ptrdiff_t n,
                 HisteqArrays &arrays) {
    const int32_t lanes = static_cast<int32_t>(arrays.lanes);
    const int32_t n_bins = arrays.grid_of<Pixel>().last >> 1;
    int32_t *table_index = arrays.table_index;
    if constexpr (sizeof(Pixel) == 1) {
        map_each(plane.x + start, n, arrays.bins, table_index);
    } else {
        locate_row(plane.x + start, n, arrays);
        for (ptrdiff_t i = 0; i < n; ++i)
            table_index[i] = least(arrays.intervals[i] >> 1, n_bins - 1) * lanes;
    }
    for (ptrdiff_t i = 0; plane.has_uncounted && i < n; ++i)
        table_index[i] =
            is_counted(plane.x, plane.mask, start + i) ? table_index[i] : n_bins * lanes;
    return table_index;
}

/* Counts ------------------------------------------------------------------------------------- */

/* Count the bins of each tile of row k of a layer. */
template <class Pixel>
void count_bins_of_row(const HisteqPlane<Pixel> &plane, ptrdiff_t layer, ptrdiff_t k,
                       const Tiles &tiles, ptrdiff_t n_bins, HisteqArrays &arrays) {
    const size_t n_counts = static_cast<size_t>((n_bins + 1) * arrays.lanes);
    const ptrdiff_t width = tiles.width;
    std::memset(arrays.counts, 0, n_counts * sizeof(int32_t));
    /* The bins are multiplied by lanes already, and these tiles list no pixels. */
    count_tile_row<int32_t>(layer, k, tiles, {1, 1}, nullptr, arrays.counts, [&](ptrdiff_t y) {
        return bin_row(plane, y * width, width, arrays);
    });
}

/* Count the bins of the whole plane. */
template <class Pixel>
void count_whole(const HisteqPlane<Pixel> &plane, ptrdiff_t width, ptrdiff_t n_bins,
                 HisteqArrays &arrays) {
    const ptrdiff_t lanes = arrays.lanes;
    std::memset(arrays.of_plane, 0, static_cast<size_t>((n_bins + 1) * lanes) * sizeof(int32_t));
    for (ptrdiff_t start = 0; start < plane.n; start += width) {
        const int32_t *bins = bin_row(plane, start, width, arrays);
        for (ptrdiff_t i = 0; i < width; ++i)
            ++arrays.of_plane[bins[i] + i % TILE_LANES];
    }
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        for (ptrdiff_t j = 1; j < TILE_LANES; ++j)
            arrays.of_plane[b * lanes] += arrays.of_plane[b * lanes + j];
}

/* Set the numbers of counted pixels of tiles; 1 where there is none, since it is a divisor. */
inline void sum_counts(const int32_t *counts, ptrdiff_t n_bins, ptrdiff_t lanes, int32_t *sums) {
    std::memset(sums, 0, static_cast<size_t>(lanes) * sizeof(int32_t));
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        for (ptrdiff_t t = 0; t < lanes; ++t)
            sums[t] += counts[b * lanes + t];
    for (ptrdiff_t t = 0; t < lanes; ++t)
        sums[t] += !sums[t];
}

/* Give the plane's counts to the tiles without a counted pixel; false: these are wanted first. */
inline bool fill_tiles(bool is_known, ptrdiff_t n_tiles, ptrdiff_t n_bins,
                       const HisteqArrays &arrays) {
    const ptrdiff_t lanes = arrays.lanes;
    for (ptrdiff_t t = 0; t < n_tiles; ++t) {
        if (arrays.n_counted[t])
            continue;
        if (!is_known)
            return false;
        for (ptrdiff_t b = 0; b < n_bins; ++b) {
            arrays.counts[b * lanes + t] = arrays.of_plane[b * lanes];
            arrays.n_counted[t] += arrays.of_plane[b * lanes];
        }
    }
    return true;
}

/* Tables ------------------------------------------------------------------------------------- */

/* For a pixel, filling six entries of a table takes no longer than to compute its value without. */
constexpr ptrdiff_t N_TABLE_ENTRIES = 6;

/* What TILE_LANES tiles' counts become: min(count + d, limit). */
struct ClipLimits {
    double d[TILE_LANES], limit[TILE_LANES], n_pixels[TILE_LANES];
};

/* The least count that, with d more, exceeds the limit. */
inline int32_t least_over(double d, double limit) {
    if (limit - d >= 2147483000.0)
        return 2147483647;
    int32_t count = static_cast<int32_t>(greatest(limit - d, 0.0));
    while (count > 0 && count - 1 + d > limit)
        --count;
    while (!(count + d > limit))
        ++count;
    return count;
}

/* Set the number of bins of TILE_LANES tiles whose count is at least the tile's threshold, and the
 * sums of their counts. */
inline void sum_over(const int32_t *counts, ptrdiff_t n_bins, ptrdiff_t lanes,
                     const int32_t *thresholds, int32_t *over, int32_t *sums) {
    int32_t from[TILE_LANES], n[TILE_LANES] = {0}, sum[TILE_LANES] = {0};
    HISTEQ_EACH_TILE(j) from[j] = thresholds[j];
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        HISTEQ_EACH_TILE(j) {
            const int32_t count = counts[b * lanes + j];
            const int32_t is_over = -(count >= from[j]); /* all ones, or none */
            n[j] -= is_over, sum[j] += count & is_over;
        }
    HISTEQ_EACH_TILE(j) over[j] = n[j], sums[j] = sum[j];
}

/* Set the limits of TILE_LANES tiles; see `clip_counts` of the reference engine. */
inline void find_limits(const int32_t *counts, ptrdiff_t lanes, const int32_t *n_counted,
                        double clip_limit, ptrdiff_t n_bins, ClipLimits &limits) {
    int32_t thresholds[TILE_LANES], over[TILE_LANES], sums[TILE_LANES], n_over[TILE_LANES];
    int n_open = TILE_LANES;
    for (ptrdiff_t j = 0; j < TILE_LANES; ++j) {
        const double m = n_counted[j];
        limits.limit[j] = clip_limit * greatest(m / static_cast<double>(n_bins), 1.0);
        limits.d[j] = 0.0, limits.n_pixels[j] = m, n_over[j] = 0;
    }
    if (clip_limit == std::numeric_limits<double>::infinity())
        return;
    while (n_open) {
        for (ptrdiff_t j = 0; j < TILE_LANES; ++j)
            thresholds[j] =
                n_over[j] >= 0 ? least_over(limits.d[j], limits.limit[j]) : 2147483647;
        sum_over(counts, n_bins, lanes, thresholds, over, sums);
        for (ptrdiff_t j = 0; j < TILE_LANES; ++j) {
            if (n_over[j] < 0)
                continue;
            if (over[j] > n_over[j] && over[j] < n_bins) {
                n_over[j] = over[j];
                limits.d[j] = (sums[j] - over[j] * limits.limit[j]) /
                              static_cast<double>(n_bins - over[j]);
                continue;
            }
            if (over[j] > n_over[j]) { /* all bins reach the limit, which is below a uniform one */
                limits.limit[j] = n_counted[j] / static_cast<double>(n_bins);
                limits.d[j] = std::numeric_limits<double>::infinity();
            }
            n_over[j] = -1;
            --n_open;
        }
    }
}

/* Whether the numbers of pixels are powers of two: then a product with their reciprocal is
 * exact. */
inline bool are_powers_of_two(const double *n_pixels) {
    bool result = true;
    for (ptrdiff_t j = 0; j < TILE_LANES; ++j) {
        const int32_t n = static_cast<int32_t>(n_pixels[j]);
        result &= (n & (n - 1)) == 0;
    }
    return result;
}

/* The CDFs of TILE_LANES tiles: of the counts within the limits, cumulated, divided by the number
 * of pixels; the last value is 1, and none is larger, though the sum may be. */
template <bool is_exact_product>
void clipped_cdfs(const int32_t *counts, ptrdiff_t n_bins, ptrdiff_t lanes,
                  const ClipLimits &limits, double *cdfs) {
    double divisor[TILE_LANES];
    for (ptrdiff_t j = 0; j < TILE_LANES; ++j)
        divisor[j] = is_exact_product ? 1.0 / limits.n_pixels[j] : limits.n_pixels[j];
    const ClipLimits own = limits; /* a copy, which stores leave as it is */
    double sum[TILE_LANES] = {0};
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        HISTEQ_EACH_TILE(j) {
            const double count = static_cast<double>(counts[b * lanes + j]) + own.d[j];
            sum[j] += count < own.limit[j] ? count : own.limit[j];
            cdfs[b * lanes + j] = is_exact_product ? sum[j] * divisor[j] : sum[j] / divisor[j];
        }
    for (ptrdiff_t j = 0; j < TILE_LANES; ++j) {
        cdfs[(n_bins - 1) * lanes + j] = 1.0;
        for (ptrdiff_t b = n_bins - 2; b >= 0 && cdfs[b * lanes + j] > 1.0; --b)
            cdfs[b * lanes + j] = 1.0;
    }
}

/* Set the CDFs (n_bins, lanes) of a row of tiles from their counts. */
HISTEQ_APART inline void set_cdfs(const int32_t *counts, const int32_t *n_counted, ptrdiff_t lanes,
                                  const ClaheRule &rule, double *cdfs) {
    const ptrdiff_t n_bins = rule.n_bins;
    ClipLimits limits;
    for (ptrdiff_t t = 0; t < lanes; t += TILE_LANES) {
        find_limits(counts + t, lanes, n_counted + t, rule.clip_limit, n_bins, limits);
        if (are_powers_of_two(limits.n_pixels))
            clipped_cdfs<true>(counts + t, n_bins, lanes, limits, cdfs + t);
        else
            clipped_cdfs<false>(counts + t, n_bins, lanes, limits, cdfs + t);
    }
}

/* The values of n_levels levels in the CDFs of a row of tiles: a level lies the share weights
 * beyond the point below. */
inline void level_values(const double *cdfs, ptrdiff_t lanes, ptrdiff_t n_levels,
                         const int32_t *below, const double *weights, double *values) {
    for (ptrdiff_t k = 0; k < n_levels; ++k) {
        const double *c = cdfs + below[k] * lanes, w = weights[k];
        for (ptrdiff_t t = 0; t < lanes; t += TILE_LANES)
            HISTEQ_EACH_TILE(j)
                values[k * lanes + t + j] = c[t + j] + w * (c[lanes + t + j] - c[t + j]);
    }
}

/* Set the CDFs of row k of a layer of tiles, which are counted. */
template <class Pixel>
void build_cdfs(HisteqPlane<Pixel> &plane, ptrdiff_t layer, ptrdiff_t k, const Tiles &tiles,
                const ClaheRule &rule, HisteqArrays &arrays, double *cdfs) {
    const ptrdiff_t n_tiles = tiles.columns.n, n_bins = rule.n_bins;
    const ptrdiff_t n_in_column = tiles.layers.length(layer) * tiles.rows.length(k);
    count_bins_of_row(plane, layer, k, tiles, n_bins, arrays);
    for (ptrdiff_t t = 0; t < arrays.lanes; ++t)
        arrays.n_counted[t] = t < n_tiles ? n_in_column * tiles.columns.length(t) -
                                                arrays.counts[n_bins * arrays.lanes + t]
                                          : 1; /* no tile: any number will do */
    if (!fill_tiles(plane.has_plane_counts, n_tiles, n_bins, arrays)) {
        count_whole(plane, tiles.width, n_bins, arrays);
        plane.has_plane_counts = true;
        fill_tiles(true, n_tiles, n_bins, arrays);
    }
    set_cdfs(arrays.counts, arrays.n_counted, arrays.lanes, rule, cdfs);
}

/* Set the tables of row k of the tiles, for a slice: the values of levels, or the CDFs. Those of
 * volumes lie between the CDFs of two layers: (1 - fz) * front + fz * back. */
template <class Pixel>
void build_tables(HisteqPlane<Pixel> &plane, ptrdiff_t slice, ptrdiff_t k, const Tiles &tiles,
                  const Centers &centers, const ClaheRule &rule, HisteqArrays &arrays,
                  double *tables) {
    const ptrdiff_t lanes = arrays.lanes, n_bins = rule.n_bins, n_rows = centers.n_rows();
    double *cdfs = plane.has_level_tables ? arrays.cdfs : tables;
    if (centers.depth == 1 && !plane.cdfs) {
        build_cdfs(plane, 0, k, tiles, rule, arrays, cdfs);
    } else { /* those of one layer are multiplied by 1 and 0 */
        const auto row = [&](ptrdiff_t layer) {
            return plane.cdfs ? plane.cdfs + (layer * n_rows + k) * plane.step
                              : arrays.layer_row(layer, k, n_rows, n_bins);
        };
        const double *front = row(centers.front[slice]), *back = row(centers.back[slice]);
        const double fz = centers.fz[slice], gz = 1.0 - fz;
        for (ptrdiff_t i = 0; i < n_bins * lanes; ++i)
            cdfs[i] = gz * front[i] + fz * back[i];
    }
    if (plane.has_level_tables)
        level_values(cdfs, lanes, plane.range.n_levels(), arrays.below, arrays.weights, tables);
}

/* The blend ---------------------------------------------------------------------------------- */

/* The package's own blend of a row of pixels: (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) *
 * c + fx * d); a and b are up[table_index], up[table_index + 1], c and d down's. */
inline void blend_levels(const double *up, const double *down, const int32_t *table_index,
                         const double *shares, double fy, ptrdiff_t n, double *out) {
    const double gy = 1.0 - fy;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const double *u = up + table_index[i], *d = down + table_index[i], *s = shares + 2 * i;
        out[i] = gy * (s[0] * u[0] + s[1] * u[1]) + fy * (s[0] * d[0] + s[1] * d[1]);
    }
}

#ifdef HISTEQ_AVX2
inline __m256d load_two_pairs(const double *p, const double *q) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(q), 1);
}
#endif

/* The same, a pixel's values being those at the point below, plus the share weights of the way to
 * the next, which is `lanes` further on. */
inline void blend_points(const double *up, const double *down, ptrdiff_t lanes,
                         const HisteqArrays &arrays, const double *shares, double fy, ptrdiff_t n,
                         double *out) {
    const int32_t *table_index = arrays.table_index;
    const double *weights = arrays.row_weights, gy = 1.0 - fy;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    for (; i + 2 <= n; i += 2) { /* of two pixels left up, right up, left down, right down */
        __m256d values[2];
        for (int j = 0; j < 2; ++j) {
            const double *u = up + table_index[i + j], *d = down + table_index[i + j];
            const __m256d a = load_two_pairs(u, d), b = load_two_pairs(u + lanes, d + lanes);
            const __m256d w = _mm256_broadcast_sd(weights + i + j);
            const __m256d v = _mm256_add_pd(a, _mm256_mul_pd(w, _mm256_sub_pd(b, a)));
            const auto share = reinterpret_cast<const __m128d *>(shares + 2 * (i + j));
            values[j] = _mm256_mul_pd(v, _mm256_broadcast_pd(share));
        }
        const __m256d sums = _mm256_hadd_pd(values[0], values[1]);
        const __m128d above = _mm_mul_pd(_mm_set1_pd(gy), _mm256_castpd256_pd128(sums));
        const __m128d below = _mm_mul_pd(_mm_set1_pd(fy), _mm256_extractf128_pd(sums, 1));
        _mm_storeu_pd(out + i, _mm_add_pd(above, below));
    }
#endif
    for (; i < n; ++i) {
        const double *u = up + table_index[i], *d = down + table_index[i], *s = shares + 2 * i;
        const double w = weights[i];
        const double a = u[0] + w * (u[lanes] - u[0]), b = u[1] + w * (u[lanes + 1] - u[1]);
        const double c = d[0] + w * (d[lanes] - d[0]), e = d[1] + w * (d[lanes + 1] - d[1]);
        out[i] = gy * (s[0] * a + s[1] * b) + fy * (s[0] * c + s[1] * e);
    }
}

/* Set arrays.row to the values of a row of pixels between two rows of tables. */
template <class Pixel>
void blend_row(const Pixel *x, const double *up, const double *down, double fy,
               bool has_level_tables, const Centers &centers, HisteqArrays &arrays) {
    const ptrdiff_t lanes = arrays.lanes, n = centers.width;
    int32_t *table_index = arrays.table_index;
    if constexpr (sizeof(Pixel) == 1) {
        for (ptrdiff_t i = 0; i < n; ++i)
            table_index[i] = arrays.codes[x[i]] + centers.places[i];
        if (has_level_tables)
            return blend_levels(up, down, table_index, centers.shares, fy, n, arrays.row);
        map_each(x, n, arrays.level_weights, arrays.row_weights);
    } else {
        locate_row(x, n, arrays);
        weigh(arrays.row, arrays.intervals, n, arrays, table_index, arrays.row_weights);
        for (ptrdiff_t i = 0; i < n; ++i)
            table_index[i] = table_index[i] * static_cast<int32_t>(lanes) + centers.places[i];
    }
    blend_points(up, down, lanes, arrays, centers.shares, fy, n, arrays.row);
}

/* Planes ------------------------------------------------------------------------------------- */

/* Set the bins of a plane over a range; false where they are not certain. */
template <class Pixel>
bool set_bins(double low, double high, ptrdiff_t n_bins, HisteqArrays &arrays) {
    auto &grid = arrays.grid_of<Pixel>();
    grid.low = low, grid.high = high;
    if (!make_grid(grid.low, grid.high, n_bins, true, grid))
        return false;
    set_points(grid, n_bins, arrays);
    return true;
}

/* Set what bytes look up, between the centers of tiles; `range` holds all n pixels. */
inline void set_level_tables(HisteqPlane<uint8_t> &plane, LevelRange range, const Centers &centers,
                             const HisteqArrays &arrays) {
    const ptrdiff_t n_entries = range.n_levels() * arrays.lanes * centers.n_rows();
    plane.range = range;
    plane.has_level_tables = n_entries <= N_TABLE_ENTRIES * centers.height * centers.width;
    set_levels(range, plane.has_level_tables, arrays);
}

/* Find the bins of a plane, over a given range or its own, and with them its status:
 * IS_FLAT where the own range is one level. */
template <class Pixel>
int find_bins(HisteqPlane<Pixel> &plane, const double *given, const Centers &centers,
              ptrdiff_t n_bins, HisteqArrays &arrays) {
    auto &grid = arrays.grid_of<Pixel>();
    LevelRange range;
    int status;
    if constexpr (std::is_floating_point_v<Pixel>) {
        status = find_range(plane.x, plane.mask, plane.n, grid.low, grid.high);
    } else {
        range = find_range(plane.x, plane.mask, plane.n);
        status = range.low > range.high ? IS_EMPTY : 0;
        grid.low = range.low, grid.high = range.high;
    }
    plane.has_uncounted = plane.mask || status & HAS_NAN;
    if (status & (HAS_INF | IS_EMPTY))
        return status;
    const bool is_given = take_range(given, grid.low, grid.high);
    if (!is_given && grid.low == grid.high)
        return status | IS_FLAT;
    if (!set_bins<Pixel>(grid.low, grid.high, n_bins, arrays))
        return status | REFER;
    if constexpr (sizeof(Pixel) == 1) /* levels beyond the counted ones differ, if given */
        set_level_tables(plane, is_given ? find_range(plane.x, nullptr, plane.n) : range, centers,
                         arrays);
    return status;
}

/* The package's own CLAHE of a slice, into out. */
template <class Pixel>
void clahe_slice(HisteqPlane<Pixel> &plane, ptrdiff_t slice, const Tiles &tiles,
                 const Centers &centers, const ClaheRule &rule, HisteqArrays &arrays, Output out) {
    const ptrdiff_t n_codes = plane.has_level_tables ? plane.range.n_levels() : rule.n_bins;
    const ptrdiff_t size = (n_codes + 1) * arrays.lanes, width = centers.width;
    ptrdiff_t built = centers.above[0] - 1;
    for (ptrdiff_t y = 0; y < centers.height; ++y) {
        while (built < centers.below[y]) {
            ++built;
            build_tables(plane, slice, built, tiles, centers, rule, arrays,
                         arrays.tables + (built & 1) * size);
        }
        blend_row(plane.x + (slice * centers.height + y) * width,
                  arrays.tables + (centers.above[y] & 1) * size,
                  arrays.tables + (centers.below[y] & 1) * size, centers.fy[y],
                  plane.has_level_tables, centers, arrays);
        store(arrays.row, width, {rule.is_float32, 1.0}, out.from(y * width));
    }
}

/* The package's own CLAHE of all slices of a plane or a volume, into out. */
template <class Pixel>
void clahe_slices(HisteqPlane<Pixel> &plane, const Tiles &tiles, const Centers &centers,
                  const ClaheRule &rule, HisteqArrays &arrays, Output out) {
    ptrdiff_t layer = centers.front[0] - 1;
    for (ptrdiff_t z = 0; z < centers.depth; ++z) {
        for (; centers.depth > 1 && !plane.cdfs && layer < centers.back[z]; ++layer)
            for (ptrdiff_t k = 0; k < tiles.rows.n; ++k)
                build_cdfs(plane, layer + 1, k, tiles, rule, arrays,
                           arrays.layer_row(layer + 1, k, tiles.rows.n, rule.n_bins));
        clahe_slice(plane, z, tiles, centers, rule, arrays,
                    out.from(z * centers.height * centers.width));
    }
}

/* The package's own CLAHE of each plane (height * width,) or volume (depth * height * width,), into
 * the same row of out; clip_limit is infinite for none. REFER in the status: the bins are not
 * certain, and nothing is written. ranges (..., 2), if given, are what the bins of each plane span;
 * NaN: its own range. */
template <class Pixel>
int clahe(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status, Tiles tiles,
          Centers centers, double clip_limit, ptrdiff_t n_bins, bool is_float32,
          Array<const double> ranges) {
    const ptrdiff_t n = planes.shape[1], lanes = lanes_of(tiles.columns.n);
    const ClaheRule rule{clip_limit, n_bins, is_float32};
    Scratch scratch;
    HisteqArrays arrays(scratch, centers.width, lanes, n_bins);
    arrays.layers =
        scratch.array<double>(centers.depth > 1 ? 2 * tiles.rows.n * n_bins * lanes : 0);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        HisteqPlane<Pixel> plane{planes.row(p), mask_of(p, planes, mask), planes.shape[1]};
        const int found = find_bins(plane, range_of(ranges, p), centers, n_bins, arrays);
        if (found & IS_FLAT)
            fill_counted(plane.x, n, 1.0, out.from(p * n));
        else if (!(found & (HAS_INF | IS_EMPTY | REFER)))
            clahe_slices(plane, tiles, centers, rule, arrays, out.from(p * n));
        status[p] = static_cast<uint8_t>(found & ~IS_FLAT);
    }
    return DONE;
}

/* In passes over parts of planes ------------------------------------------------------------- */

/* Set the counts (n_layers * n_rows, n_planes, n_bins * lanes) of the bins of the tiles of a part of
 * planes, in bins over ranges (n_planes, 2); nothing is counted in planes of NaN. The status says
 * whether a plane has NaN, and then whether its bins are not certain (REFER). */
template <class Pixel>
int count_tiles(Planes<Pixel> planes, Mask mask, Array<uint8_t> status, Tiles tiles,
                Array<const double> ranges, Array<int32_t> counts, ptrdiff_t n_bins) {
    const ptrdiff_t n_planes = planes.shape[0], lanes = lanes_of(tiles.columns.n);
    const size_t size = static_cast<size_t>(n_bins * lanes) * sizeof(int32_t);
    Scratch scratch;
    HisteqArrays arrays(scratch, tiles.width, lanes, n_bins);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < n_planes; ++p) {
        HisteqPlane<Pixel> plane{planes.row(p), mask_of(p, planes, mask), planes.shape[1]};
        plane.has_uncounted = plane.mask || status[p] & HAS_NAN;
        const double *range = ranges.row(p);
        const bool has_range = range[0] == range[0];
        if (has_range && !set_bins<Pixel>(range[0], range[1], n_bins, arrays))
            status[p] |= REFER;
        const bool has_bins = has_range && !(status[p] & REFER);
        if constexpr (sizeof(Pixel) == 1)
            if (has_bins)
                set_levels(LevelRange{0, 255}, false, arrays);
        for (ptrdiff_t k = 0; k < tiles.layers.n * tiles.rows.n; ++k) {
            int32_t *of_row = counts.start + (k * n_planes + p) * n_bins * lanes;
            std::memset(of_row, 0, size);
            if (!has_bins)
                continue;
            count_bins_of_row(plane, k / tiles.rows.n, k % tiles.rows.n, tiles, n_bins, arrays);
            std::memcpy(of_row, arrays.counts, size);
        }
    }
    return DONE;
}

/* Set the CDFs of rows of tiles from their counts (n_rows, n_bins * lanes). */
template <class Count>
int find_cdfs(Planes<Count> counts, Array<double> cdfs, double clip_limit, ptrdiff_t n_bins) {
    const ptrdiff_t lanes = counts.shape[1] / n_bins;
    Scratch scratch;
    int32_t *n_counted = scratch.array<int32_t>(lanes);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t k = 0; k < counts.shape[0]; ++k) {
        sum_counts(counts.row(k), n_bins, lanes, n_counted);
        set_cdfs(counts.row(k), n_counted, lanes, {clip_limit, n_bins, false}, cdfs.row(k));
    }
    return DONE;
}

/* The package's own CLAHE of a part of planes by the CDFs (n_layers * n_rows, n_planes, n_bins *
 * lanes) of the tiles around it, in bins over ranges (n_planes, 2); NaN: a plane of one level.
 * Nothing is written to planes whose status has IS_EMPTY, HAS_INF or REFER. */
template <class Pixel>
int blend_tiles(Planes<Pixel> planes, Output out, Array<const uint8_t> status, Centers centers,
                Array<const double> ranges, Array<const double> cdfs, ptrdiff_t n_bins,
                bool is_float32) {
    const ptrdiff_t n = planes.shape[1], lanes = cdfs.shape[2] / n_bins;
    const ClaheRule rule{0.0, n_bins, is_float32}; /* the clip limit is not used */
    Scratch scratch;
    HisteqArrays arrays(scratch, centers.width, lanes, n_bins);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        HisteqPlane<Pixel> plane{planes.row(p), nullptr, n};
        const double *range = ranges.row(p);
        plane.cdfs = cdfs.start + p * cdfs.shape[2], plane.step = cdfs.shape[1] * cdfs.shape[2];
        if (status[p] & (HAS_INF | IS_EMPTY | REFER))
            continue;
        if (range[0] != range[0]) { /* one level has no bins */
            fill_counted(plane.x, n, 1.0, out.from(p * n));
            continue;
        }
        if (!set_bins<Pixel>(range[0], range[1], n_bins, arrays))
            continue;
        if constexpr (sizeof(Pixel) == 1)
            set_level_tables(plane, find_range(plane.x, nullptr, n), centers, arrays);
        /* no tiles: plane.cdfs has the CDFs of all */
        clahe_slices(plane, {}, centers, rule, arrays, out.from(p * n));
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
