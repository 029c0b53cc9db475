/* CLAHE as skimage.exposure.equalize_adapthist computes it.
 *
 * How the bits are kept: the steps are those that the reference engine lists, in double and single
 * precision as there, in the same order. Adding and subtracting MAGIC_64 rounds half to even.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"
#include "tiles.h"

namespace histeq::HISTEQ_TARGET {

constexpr int32_t N_GRAYS = 16384; /* NR_OF_GRAY of skimage.exposure.equalize_adapthist */

/* Arrays that every plane of a call uses anew. */
struct SkimageArrays {
    uint16_t *codes, *blended; /* (n,) */
    int32_t *counts;           /* (n_bins,), of one tile */
    int32_t *clipped;          /* (n_bins, lanes) */
    float *tables;             /* 2 of (n_bins, lanes + 2) */
    int32_t *table_index, *row;
    double *values;

    /* For planes of n pixels; 0: for planes whose codes are given. */
    SkimageArrays(Scratch &scratch, const Tiling &tiling, ptrdiff_t n_bins, ptrdiff_t n) {
        const ptrdiff_t lanes = lanes_of(tiling.n_tiles);
        codes = scratch.array<uint16_t>(n);
        blended = scratch.array<uint16_t>(n);
        counts = scratch.array<int32_t>(n_bins);
        clipped = scratch.array<int32_t>(n_bins * lanes);
        tables = scratch.array<float>(2 * n_bins * (lanes + 2) + TILE_LANES);
        table_index = scratch.array<int32_t>(tiling.width);
        row = scratch.array<int32_t>(tiling.width);
        values = scratch.array<double>(tiling.width);
        if (scratch.is_complete)
            std::memset(clipped, 0, static_cast<size_t>(n_bins * lanes) * sizeof(int32_t));
    }
};

/* Set the bin of each pixel: levels as 16 bits, clipped to a given range or their own, stretched
 * over N_GRAYS grays, divided. */
template <class Level>
void stretch_levels(const Level *x, ptrdiff_t n, const double *given, ptrdiff_t bin_size,
                    uint16_t *codes) {
    constexpr double scale = sizeof(Level) == 1 ? 257.0 : 1.0;
    const LevelRange range = find_range(x, nullptr, n);
    double low = range.low * scale, high = range.high * scale;
    take_range(given, low, high);
    const double width = high - low;
    const auto gray = [=](int32_t level) {
        return width == 0
                   ? round_half_even(least(low, N_GRAYS - 1.0))
                   : round_half_even((least(greatest(level * scale, low), high) - low) / width *
                                     (N_GRAYS - 1));
    };
    if constexpr (sizeof(Level) == 1) {
        uint16_t table[256];
        for (int32_t level = range.low; level <= range.high; ++level)
            table[level] = static_cast<uint16_t>(gray(level) / bin_size);
        map_each(x, n, table, codes);
    } else {
        for (ptrdiff_t i = 0; i < n; ++i)
            codes[i] = static_cast<uint16_t>(gray(x[i]) / bin_size);
    }
}

/* Clip counts at a limit; each bin is offered an equal share of the excess, and those that come
 * within a share of the limit are filled up to it. Sets what remains of the excess, and how many
 * counts are under the limit. */
inline void clip_and_share(int32_t *counts, ptrdiff_t n_bins, int32_t limit, int32_t &excess,
                           int32_t &under) {
    int32_t sum = 0, taken = 0, n_under = 0;
    for (ptrdiff_t i = 0; i < n_bins; ++i) {
        const int32_t above = counts[i] - limit;
        sum += above > 0 ? above : 0;
        counts[i] = above > 0 ? limit : counts[i];
    }
    const int32_t share = sum / static_cast<int32_t>(n_bins), upper = limit - share;
    for (ptrdiff_t i = 0; i < n_bins; ++i) {
        const int32_t before = counts[i], shared = before < upper ? before + share : before;
        counts[i] = shared >= upper ? limit : shared;
        taken += counts[i] - before;
        n_under += counts[i] < limit;
    }
    excess = sum - taken, under = n_under;
}

/* Clip counts at a limit, and share out the excess as skimage's clip_histogram does. */
inline void clip_skimage(int32_t *counts, ptrdiff_t n_bins, int32_t limit) {
    int32_t excess, under;
    clip_and_share(counts, n_bins, limit, excess, under);
    for (int32_t before = 0; excess > 0 && excess != before;) {
        before = excess;
        for (ptrdiff_t i = 0; i < n_bins && excess > 0; ++i) {
            const ptrdiff_t step = greatest(1, under / excess);
            int32_t taken = 0;
            for (ptrdiff_t k = i; k < n_bins; k += step)
                if (counts[k] < limit) {
                    ++taken;
                    under -= ++counts[k] == limit;
                }
            excess -= taken;
        }
    }
}

/* scikit-image's tables of TILE_LANES tiles of a row: counts cumulated, times scale, at most
 * N_GRAYS - 1, truncated. */
inline void skimage_tables(const int32_t *counts, ptrdiff_t n_bins, ptrdiff_t lanes, double scale,
                           float *tables) {
    constexpr double top = N_GRAYS - 1;
    int32_t sum[TILE_LANES] = {0};
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        HISTEQ_EACH_TILE(j) {
            sum[j] += counts[b * lanes + j];
            const double value = static_cast<double>(sum[j]) * scale;
            tables[b * (lanes + 2) + j] =
                static_cast<float>(static_cast<int32_t>(value < top ? value : top));
        }
}

/* Set the tables of row k of the tiles. */
inline void build_skimage(const uint16_t *codes, ptrdiff_t k, const Tiling &tiling,
                          const ClaheRule &rule, const SkimageArrays &arrays, float *tables) {
    const ptrdiff_t n_bins = rule.n_bins, lanes = lanes_of(tiling.n_tiles);
    const ptrdiff_t n_pixels = tiling.tile_height * tiling.tile_width;
    const double scale = static_cast<double>(N_GRAYS - 1) / static_cast<double>(n_pixels);
    for (ptrdiff_t t = 0; t < tiling.n_tiles; ++t) {
        std::memset(arrays.counts, 0, static_cast<size_t>(n_bins) * sizeof(int32_t));
        for (ptrdiff_t y = 0; y < tiling.tile_height; ++y) {
            const ptrdiff_t start = tiling.rows[k * tiling.tile_height + y] * tiling.width;
            for (ptrdiff_t i = t * tiling.tile_width; i < (t + 1) * tiling.tile_width; ++i)
                ++arrays.counts[codes[start + tiling.columns[i]]];
        }
        clip_skimage(arrays.counts, n_bins, static_cast<int32_t>(rule.clip_limit));
        for (ptrdiff_t b = 0; b < n_bins; ++b)
            arrays.clipped[b * lanes + t] = arrays.counts[b];
    }
    for (ptrdiff_t t = 0; t < lanes; t += TILE_LANES)
        skimage_tables(arrays.clipped + t, n_bins, lanes, scale, tables + 1 + t);
    repeat_outer(tables, n_bins, tiling.n_tiles, lanes + 2);
}

/* scikit-image's blend of a row of pixels, truncated: the values at the four tiles, each times the
 * product of its shares in double precision, are added up in single precision. */
inline void blend_skimage(const float *up, const float *down, const int32_t *table_index,
                          const double *shares, double fy, ptrdiff_t n, int32_t *out) {
    const double gy = 1.0 - fy;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const float *u = up + table_index[i], *d = down + table_index[i];
        const double *s = shares + 2 * i;
        const float values[] = {u[0], u[1], d[0], d[1]};
        const double weights[] = {s[0] * gy, s[1] * gy, s[0] * fy, s[1] * fy};
        float w[4];
        for (int k = 0; k < 4; ++k)
            w[k] = static_cast<float>(values[k] * weights[k]);
        out[i] = static_cast<int32_t>(w[0] + w[1] + w[2] + w[3]);
    }
}

/* skimage.exposure.rescale_intensity of whole numbers to [0, 1], in the image's precision. */
inline void stretch_row(const uint16_t *x, ptrdiff_t n, LevelRange range, bool is_float32,
                        double *values) {
    const int32_t low = range.low, width = range.high - low;
    for (ptrdiff_t i = 0; i < n; ++i)
        if (!width)
            values[i] = x[i] ? 1.0 : 0.0;
        else if (is_float32)
            values[i] = static_cast<float>(x[i] - low) / static_cast<float>(width);
        else
            values[i] = static_cast<double>(x[i] - low) / static_cast<double>(width);
}

/* The blend of some rows of a plane of codes. */
inline void blend_codes(const uint16_t *codes, const Tiling &tiling, const ClaheRule &rule,
                        const SkimageArrays &arrays, uint16_t *blended) {
    const ptrdiff_t width = tiling.width, stride = lanes_of(tiling.n_tiles) + 2;
    const ptrdiff_t size = rule.n_bins * stride;
    ptrdiff_t built = tiling.above[tiling.begin] - 1;
    for (ptrdiff_t y = tiling.begin; y < tiling.end; ++y) {
        while (built < tiling.below[y]) {
            ++built;
            build_skimage(codes, built, tiling, rule, arrays, arrays.tables + (built & 1) * size);
        }
        index_tables(codes + y * width, width, stride, tiling.places, arrays.table_index);
        blend_skimage(arrays.tables + (tiling.above[y] & 1) * size,
                      arrays.tables + (tiling.below[y] & 1) * size, arrays.table_index,
                      tiling.shares, tiling.fy[y], width, arrays.row);
        narrow(arrays.row, width, blended + y * width);
    }
}

/* skimage.exposure.equalize_adapthist of one plane; is_stretched: its last step. */
template <class Level>
void clahe_skimage_plane(const Level *x, const double *given, bool is_stretched,
                         const Tiling &tiling, const ClaheRule &rule, const SkimageArrays &arrays,
                         Output out) {
    const ptrdiff_t width = tiling.width, n = tiling.height * width;
    LevelRange range{0, N_GRAYS - 1};
    stretch_levels(x, n, given, 1 + N_GRAYS / rule.n_bins, arrays.codes);
    blend_codes(arrays.codes, tiling, rule, arrays, arrays.blended);
    if (is_stretched)
        range = find_range(arrays.blended, nullptr, n);
    for (ptrdiff_t y = 0; y < tiling.height; ++y) {
        stretch_row(arrays.blended + y * width, width, range, rule.is_float32, arrays.values);
        store(arrays.values, width, {rule.is_float32, 1.0}, out.from(y * width));
    }
}

/* skimage.exposure.equalize_adapthist of each plane, into the same row of out; the limit is a
 * number of pixels. ranges (..., 2), if given, are what the bins of each plane span, as 16 bits;
 * NaN: its own range. is_stretched: the values of each plane are stretched to [0, 1] at last. */
template <class Level>
int clahe_skimage(Planes<Level> planes, Output out, Tiling tiling, double clip_limit,
                  ptrdiff_t n_bins, bool is_float32, Array<const double> ranges,
                  bool is_stretched) {
    const ptrdiff_t n = planes.shape[1];
    const ClaheRule rule{clip_limit, n_bins, is_float32};
    Scratch scratch;
    const SkimageArrays arrays(scratch, tiling, n_bins, n);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p)
        clahe_skimage_plane(planes.row(p), range_of(ranges, p), is_stretched, tiling, rule, arrays,
                            out.from(p * n));
    return DONE;
}

/* The blend of equalize_adapthist between the tiles of one plane of bin numbers (1, n_pixels). Only
 * the slice `rows` of the rows of pixels is written. */
template <class Code>
int blend_skimage_rows(Planes<Code> codes, Array<Code> out, Tiling tiles, RowSlice rows,
                       double clip_limit, ptrdiff_t n_bins) {
    const Tiling tiling = within(tiles, rows);
    Scratch scratch;
    const SkimageArrays arrays(scratch, tiling, n_bins, 0);
    if (!scratch.is_complete)
        return NO_MEMORY;
    blend_codes(codes.start, tiling, {clip_limit, n_bins, false}, arrays, out.start);
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
