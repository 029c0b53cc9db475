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
    Grid<double> grid;       /* of integers and doubles */
    Grid<float> float_grid;  /* of floats */
    int32_t *counts;         /* (n_bins + 1, lanes), the last of pixels that do not count */
    int32_t *of_plane;       /* (n_bins + 1, lanes), of the whole plane, in column 0 */
    int32_t *n_counted;      /* (lanes,), pixels of each tile */
    double *cdfs;            /* (n_bins + 1, lanes) */
    double *tables;          /* 2 of (n_codes + 1, lanes) */
    double *layers;          /* of volumes 2 of (n_rows, n_bins, lanes): the CDFs of two layers */
    double *points, *gaps;   /* (n_bins,), bin centers, and the distances to the next */
    int32_t *codes, *bins;   /* (256,), a level's entry in the tables and its bin, times lanes */
    int32_t *below;          /* (256,), the point below a level */
    double *weights;         /* (256,), of the levels from the least on */
    double *level_weights;   /* (256,), of all levels */
    int32_t *intervals, *table_index; /* (width,) */
    double *row, *row_weights;        /* (width,) */
    double *levels;          /* (256,) */

    HisteqArrays(Scratch &scratch, const Tiling &tiling, ptrdiff_t n_bins,
                 ptrdiff_t n_levels) {
        const ptrdiff_t lanes = lanes_of(tiling.n_tiles), width = tiling.width;
        const ptrdiff_t n_codes = greatest(n_levels, n_bins) + 1;
        grid.thresholds = scratch.array<double>(2 * n_bins + 1);
        float_grid.thresholds = reinterpret_cast<float *>(grid.thresholds);
        counts = scratch.array<int32_t>((n_bins + 1) * lanes);
        of_plane = scratch.array<int32_t>((n_bins + 1) * lanes);
        n_counted = scratch.array<int32_t>(lanes);
        cdfs = scratch.array<double>((n_bins + 1) * lanes);
        tables = scratch.array<double>((2 * n_codes + 1) * lanes);
        layers = scratch.array<double>(tiling.depth > 1 ? 2 * tiling.n_rows * n_bins * lanes : 0);
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
inline void set_levels(LevelRange range, bool has_level_tables, ptrdiff_t lanes,
                       const HisteqArrays &arrays) {
    const ptrdiff_t n_levels = range.n_levels();
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

/* Set table_index to the bins of row y of the pixels, times lanes; pixels that do not count have
 * the bin n_bins. */
template <class Pixel>
void bin_row(const Pixel *x, const uint8_t *mask, ptrdiff_t y, const Tiling &tiling,
             bool is_weighted, HisteqArrays &arrays) {
    const ptrdiff_t n = tiling.width, start = y * n;
    const int32_t lanes = static_cast<int32_t>(lanes_of(tiling.n_tiles));
    const int32_t n_bins = arrays.grid_of<Pixel>().last >> 1;
    int32_t *table_index = arrays.table_index;
    if constexpr (sizeof(Pixel) == 1) {
        map_each(x + start, n, arrays.bins, table_index);
    } else {
        locate_row(x + start, n, arrays);
        for (ptrdiff_t i = 0; i < n; ++i)
            table_index[i] = least(arrays.intervals[i] >> 1, n_bins - 1) * lanes;
    }
    for (ptrdiff_t i = 0; is_weighted && i < n; ++i)
        table_index[i] = is_counted(x, mask, start + i) ? table_index[i] : n_bins * lanes;
}

/* Counts ------------------------------------------------------------------------------------- */

/* Count the bins of each tile of row k of a layer, and its pixels. */
template <class Pixel>
void count_tiles(const Pixel *x, const uint8_t *mask, ptrdiff_t layer, ptrdiff_t k,
                 bool is_weighted, const Tiling &tiling, ptrdiff_t n_bins, HisteqArrays &arrays) {
    const ptrdiff_t lanes = lanes_of(tiling.n_tiles), n_tiles = tiling.n_tiles;
    const int32_t *columns = tiling.columns, *rows = tiling.rows + 2 * k;
    const int32_t *slices = tiling.layers + 2 * layer, n_rows = rows[1] - rows[0];
    int32_t *counts = arrays.counts;
    std::memset(counts, 0, static_cast<size_t>((n_bins + 1) * lanes) * sizeof(int32_t));
    std::memset(arrays.n_counted, 0, static_cast<size_t>(lanes) * sizeof(int32_t));
    for (ptrdiff_t i = 0; i < (slices[1] - slices[0]) * n_rows; ++i) {
        const ptrdiff_t y = (slices[0] + i / n_rows) * tiling.height + rows[0] + i % n_rows;
        bin_row(x, mask, y, tiling, is_weighted, arrays);
        if (columns[1] * n_tiles == tiling.width)
            count_lanes(arrays.table_index, n_tiles, columns[1], 1, counts);
        else
            for (ptrdiff_t t = 0; t < n_tiles; ++t)
                for (ptrdiff_t j = columns[2 * t]; j < columns[2 * t + 1]; ++j)
                    ++counts[arrays.table_index[j] + t];
    }
    for (ptrdiff_t t = 0; t < n_tiles; ++t)
        arrays.n_counted[t] = (slices[1] - slices[0]) * n_rows *
                                  (columns[2 * t + 1] - columns[2 * t]) -
                              counts[n_bins * lanes + t];
}

/* Count the bins of the whole plane. */
template <class Pixel>
void count_whole(const Pixel *x, const uint8_t *mask, const Tiling &tiling,
                 ptrdiff_t n_bins, HisteqArrays &arrays) {
    const ptrdiff_t lanes = lanes_of(tiling.n_tiles);
    std::memset(arrays.of_plane, 0, static_cast<size_t>((n_bins + 1) * lanes) * sizeof(int32_t));
    for (ptrdiff_t y = 0; y < tiling.depth * tiling.height; ++y) {
        bin_row(x, mask, y, tiling, true, arrays);
        for (ptrdiff_t i = 0; i < tiling.width; ++i)
            ++arrays.of_plane[arrays.table_index[i] + i % TILE_LANES];
    }
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        for (ptrdiff_t j = 1; j < TILE_LANES; ++j)
            arrays.of_plane[b * lanes] += arrays.of_plane[b * lanes + j];
}

/* Give the plane's counts to the tiles without a counted pixel; false: these are wanted first. */
inline bool fill_tiles(bool is_known, const Tiling &tiling, ptrdiff_t n_bins,
                       const HisteqArrays &arrays) {
    const ptrdiff_t lanes = lanes_of(tiling.n_tiles);
    for (ptrdiff_t t = 0; t < lanes; ++t) {
        if (arrays.n_counted[t])
            continue;
        if (t >= tiling.n_tiles) {
            arrays.n_counted[t] = 1; /* no tile: any number will do */
            continue;
        }
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

constexpr ptrdiff_t N_TABLE_ENTRIES = 6; /* cost no more than to do without the table of a pixel */

/* What TILE_LANES tiles' counts become: min(count + d, limit). */
struct Limits {
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
    int32_t least[TILE_LANES], n[TILE_LANES] = {0}, sum[TILE_LANES] = {0};
    HISTEQ_EACH_TILE(j) least[j] = thresholds[j];
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        HISTEQ_EACH_TILE(j) {
            const int32_t count = counts[b * lanes + j];
            const int32_t is_over = -(count >= least[j]); /* all ones, or none */
            n[j] -= is_over, sum[j] += count & is_over;
        }
    HISTEQ_EACH_TILE(j) over[j] = n[j], sums[j] = sum[j];
}

/* Set the limits of TILE_LANES tiles; see `clip_counts` of the reference engine. */
inline void find_limits(const int32_t *counts, ptrdiff_t lanes, const int32_t *n_counted,
                        const ClaheRule &rule, Limits &limits) {
    int32_t thresholds[TILE_LANES], over[TILE_LANES], sums[TILE_LANES], n_over[TILE_LANES];
    const ptrdiff_t n_bins = rule.n_bins;
    int n_open = TILE_LANES;
    for (ptrdiff_t j = 0; j < TILE_LANES; ++j) {
        const double m = n_counted[j];
        limits.limit[j] = rule.clip_limit * greatest(m / static_cast<double>(n_bins), 1.0);
        limits.d[j] = 0.0, limits.n_pixels[j] = m, n_over[j] = 0;
    }
    if (rule.clip_limit == std::numeric_limits<double>::infinity())
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
void clipped_cdfs(const int32_t *counts, ptrdiff_t n_bins, ptrdiff_t lanes, const Limits &limits,
                  double *cdfs) {
    double divisor[TILE_LANES];
    for (ptrdiff_t j = 0; j < TILE_LANES; ++j)
        divisor[j] = is_exact_product ? 1.0 / limits.n_pixels[j] : limits.n_pixels[j];
    const Limits own = limits; /* a copy, which stores leave as it is */
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

/* A plane while it is worked on. */
struct HisteqPlane {
    int status;
    LevelRange range; /* of bytes */
    bool is_weighted; /* not all pixels count */
    bool is_counted;  /* arrays.of_plane is known */
    /* Bytes look up the values of their levels, where these are fewer than the pixels are worth. */
    bool has_level_tables;
};

/* Set the CDFs of row k of a layer of tiles. */
template <class Pixel>
void build_cdfs(const Pixel *x, const uint8_t *mask, ptrdiff_t layer, ptrdiff_t k,
                const Tiling &tiling, const ClaheRule &rule, HisteqPlane &plane,
                HisteqArrays &arrays, double *cdfs) {
    const ptrdiff_t lanes = lanes_of(tiling.n_tiles), n_bins = rule.n_bins;
    Limits limits;
    count_tiles(x, mask, layer, k, plane.is_weighted, tiling, n_bins, arrays);
    if (!fill_tiles(plane.is_counted, tiling, n_bins, arrays)) {
        count_whole(x, mask, tiling, n_bins, arrays);
        plane.is_counted = true;
        fill_tiles(true, tiling, n_bins, arrays);
    }
    for (ptrdiff_t t = 0; t < lanes; t += TILE_LANES) {
        find_limits(arrays.counts + t, lanes, arrays.n_counted + t, rule, limits);
        if (are_powers_of_two(limits.n_pixels))
            clipped_cdfs<true>(arrays.counts + t, n_bins, lanes, limits, cdfs + t);
        else
            clipped_cdfs<false>(arrays.counts + t, n_bins, lanes, limits, cdfs + t);
    }
}

/* The kept CDFs of row k of a layer of a volume. */
inline double *layer_row(const HisteqArrays &arrays, const Tiling &tiling, ptrdiff_t n_bins,
                         ptrdiff_t layer, ptrdiff_t k) {
    return arrays.layers +
           ((layer & 1) * tiling.n_rows + k) * n_bins * lanes_of(tiling.n_tiles);
}

/* Set the tables of row k of the tiles, for a slice: the values of levels, or the CDFs. Those of
 * volumes lie between the CDFs of two layers: (1 - fz) * front + fz * back. */
template <class Pixel>
void build_tables(const Pixel *x, const uint8_t *mask, ptrdiff_t slice, ptrdiff_t k,
                  const Tiling &tiling, const ClaheRule &rule, HisteqPlane &plane,
                  HisteqArrays &arrays, double *tables) {
    const ptrdiff_t lanes = lanes_of(tiling.n_tiles), n_bins = rule.n_bins;
    double *cdfs = plane.has_level_tables ? arrays.cdfs : tables;
    if (tiling.depth == 1) {
        build_cdfs(x, mask, 0, k, tiling, rule, plane, arrays, cdfs);
    } else {
        const double *front = layer_row(arrays, tiling, n_bins, tiling.front[slice], k);
        const double *back = layer_row(arrays, tiling, n_bins, tiling.back[slice], k);
        const double fz = tiling.fz[slice], gz = 1.0 - fz;
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
               bool has_level_tables, const Tiling &tiling, HisteqArrays &arrays) {
    const ptrdiff_t lanes = lanes_of(tiling.n_tiles), n = tiling.width;
    int32_t *table_index = arrays.table_index;
    if constexpr (sizeof(Pixel) == 1) {
        for (ptrdiff_t i = 0; i < n; ++i)
            table_index[i] = arrays.codes[x[i]] + tiling.places[i];
        if (has_level_tables)
            return blend_levels(up, down, table_index, tiling.shares, fy, n, arrays.row);
        map_each(x, n, arrays.level_weights, arrays.row_weights);
    } else {
        locate_row(x, n, arrays);
        weigh(arrays.row, arrays.intervals, n, arrays, table_index, arrays.row_weights);
        for (ptrdiff_t i = 0; i < n; ++i)
            table_index[i] = table_index[i] * static_cast<int32_t>(lanes) + tiling.places[i];
    }
    blend_points(up, down, lanes, arrays, tiling.shares, fy, n, arrays.row);
}

/* Planes ------------------------------------------------------------------------------------- */

/* Find the bins of a plane, over a given range or its own, and with them its status: IS_FLAT where
 * the own range is one level. */
template <class Pixel>
HisteqPlane set_bins(const Pixel *x, const uint8_t *mask, const double *given,
                     const Tiling &tiling, const ClaheRule &rule, HisteqArrays &arrays) {
    const ptrdiff_t n_pixels = tiling.height * tiling.width, n = tiling.depth * n_pixels;
    HisteqPlane plane{0, {0, 0}, mask != nullptr, false, false};
    auto &grid = arrays.grid_of<Pixel>();
    if constexpr (std::is_floating_point_v<Pixel>) {
        plane.status = find_range(x, mask, n, grid.low, grid.high);
        plane.is_weighted |= (plane.status & HAS_NAN) != 0;
    } else {
        plane.range = find_range(x, mask, n);
        plane.status = plane.range.low > plane.range.high ? IS_EMPTY : 0;
        grid.low = plane.range.low, grid.high = plane.range.high;
    }
    if (plane.status & (HAS_INF | IS_EMPTY))
        return plane;
    const bool is_given = take_range(given, grid.low, grid.high);
    if constexpr (sizeof(Pixel) == 1)
        if (is_given) /* levels beyond the counted ones differ, too */
            plane.range = find_range(x, nullptr, n);
    if (!is_given && grid.low == grid.high)
        plane.status |= IS_FLAT;
    else if (!make_grid(grid.low, grid.high, rule.n_bins, true, grid))
        plane.status |= REFER;
    else
        set_points(grid, rule.n_bins, arrays);
    if constexpr (sizeof(Pixel) == 1)
        if (!plane.status) {
            const ptrdiff_t lanes = lanes_of(tiling.n_tiles);
            const ptrdiff_t n_rows = tiling.below[tiling.height - 1] + 1;
            plane.has_level_tables =
                plane.range.n_levels() * lanes * n_rows <= N_TABLE_ENTRIES * n_pixels;
            set_levels(plane.range, plane.has_level_tables, lanes, arrays);
        }
    return plane;
}

/* The package's own CLAHE of some rows of a slice, into out. */
template <class Pixel>
void clahe_slice(const Pixel *x, const uint8_t *mask, ptrdiff_t slice, RowSlice rows,
                 const Tiling &tiling, const ClaheRule &rule, HisteqPlane &plane,
                 HisteqArrays &arrays, Output out) {
    const ptrdiff_t n_codes = plane.has_level_tables ? plane.range.n_levels() : rule.n_bins;
    const ptrdiff_t size = (n_codes + 1) * lanes_of(tiling.n_tiles);
    ptrdiff_t built = tiling.above[rows.begin] - 1;
    for (ptrdiff_t y = rows.begin; y < rows.end; ++y) {
        while (built < tiling.below[y]) {
            ++built;
            build_tables(x, mask, slice, built, tiling, rule, plane, arrays,
                         arrays.tables + (built & 1) * size);
        }
        const ptrdiff_t start = (slice * tiling.height + y) * tiling.width;
        blend_row(x + start, arrays.tables + (tiling.above[y] & 1) * size,
                  arrays.tables + (tiling.below[y] & 1) * size, tiling.fy[y],
                  plane.has_level_tables, tiling, arrays);
        store(arrays.row, tiling.width, {rule.is_float32, 1.0},
              out.from((y - rows.begin) * tiling.width));
    }
}

/* The package's own CLAHE of some rows of a plane, or slices of a volume, into out; returns the
 * status of the whole. */
template <class Pixel>
int clahe_plane(const Pixel *x, const uint8_t *mask, const double *given, const Tiling &tiling,
                const ClaheRule &rule, HisteqArrays &arrays, Output out) {
    HisteqPlane plane = set_bins(x, mask, given, tiling, rule, arrays);
    const ptrdiff_t step = tiling.depth > 1 ? tiling.height * tiling.width : tiling.width;
    const ptrdiff_t begin = tiling.begin * step, end = tiling.end * step;
    if (plane.status & IS_FLAT) {
        fill_counted(x + begin, end - begin, 1.0, out);
        return plane.status & ~IS_FLAT;
    }
    if (plane.status & (HAS_INF | IS_EMPTY | REFER))
        return plane.status;
    if (tiling.depth == 1) {
        clahe_slice(x, mask, 0, {tiling.begin, tiling.end}, tiling, rule, plane, arrays, out);
        return plane.status;
    }
    ptrdiff_t layer = tiling.front[tiling.begin] - 1;
    for (ptrdiff_t z = tiling.begin; z < tiling.end; ++z) {
        for (; layer < tiling.back[z]; ++layer)
            for (ptrdiff_t k = 0; k < tiling.n_rows; ++k)
                build_cdfs(x, mask, layer + 1, k, tiling, rule, plane, arrays,
                           layer_row(arrays, tiling, rule.n_bins, layer + 1, k));
        clahe_slice(x, mask, z, {0, tiling.height}, tiling, rule, plane, arrays,
                    out.from(z * step - begin));
    }
    return plane.status;
}

/* The package's own CLAHE of the slice `rows` of the rows of each plane (height * width,), or of the
 * slices of each volume (depth * height * width,), into the same row of out, which has these pixels
 * alone; clip_limit is infinite for none. REFER in the status: the bins are not certain, and nothing
 * is written. ranges (..., 2), if given, are what the bins of each plane span; NaN: its own range. */
template <class Pixel>
int clahe(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status, Tiling tiles,
          RowSlice rows, double clip_limit, ptrdiff_t n_bins, bool is_float32,
          Array<const double> ranges) {
    const ClaheRule rule{clip_limit, n_bins, is_float32};
    const Tiling tiling = within(tiles, rows);
    Scratch scratch;
    HisteqArrays arrays(scratch, tiling, n_bins, N_LEVELS<Pixel> == 256 ? 256 : 0);
    if (!scratch.is_complete)
        return NO_MEMORY;
    const ptrdiff_t n_rows = (tiling.end - tiling.begin) * (tiling.depth > 1 ? tiling.height : 1);
    const ptrdiff_t n_written = n_rows * tiling.width;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const int found = clahe_plane(planes.row(p), mask_of(p, planes, mask), range_of(ranges, p),
                                      tiling, rule, arrays, out.from(p * n_written));
        status[p] = static_cast<uint8_t>(found);
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
