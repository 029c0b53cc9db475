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

/* Arrays for the tables of rows of tiles. */
struct SkimageTables {
    int32_t *counts;   /* (n_tiles, n_bins) */
    int32_t *clipped;  /* (n_bins, lanes) */
    float *tables;     /* 2 of (n_bins, lanes + 2) */

    SkimageTables(Scratch &scratch, ptrdiff_t lanes, ptrdiff_t n_bins) {
        counts = scratch.array<int32_t>(n_bins * lanes);
        clipped = scratch.array<int32_t>(n_bins * lanes);
        tables = scratch.array<float>(2 * n_bins * (lanes + 2) + TILE_LANES);
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
        return width == 0 /* as rescale_intensity has it for a range of one number */
                   ? round_half_even(least(greatest(low, 0.0), N_GRAYS - 1.0))
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

/* Set the tables (n_bins, lanes + 2) of a row of n_tiles tiles of n_pixels pixels from the counts in
 * scratch, which are clipped. */
inline void set_tables_skimage(ptrdiff_t n_tiles, ptrdiff_t n_pixels, const ClaheRule &rule,
                               const SkimageTables &scratch, float *tables) {
    const ptrdiff_t n_bins = rule.n_bins, lanes = lanes_of(n_tiles);
    const double scale = static_cast<double>(N_GRAYS - 1) / static_cast<double>(n_pixels);
    for (ptrdiff_t t = 0; t < n_tiles; ++t) {
        int32_t *of_tile = scratch.counts + t * n_bins;
        clip_skimage(of_tile, n_bins, static_cast<int32_t>(rule.clip_limit));
        for (ptrdiff_t b = 0; b < n_bins; ++b)
            scratch.clipped[b * lanes + t] = of_tile[b];
    }
    for (ptrdiff_t t = 0; t < lanes; t += TILE_LANES)
        skimage_tables(scratch.clipped + t, n_bins, lanes, scale, tables + 1 + t);
    repeat_outer(tables, n_bins, n_tiles, lanes + 2);
}

#ifdef HISTEQ_AVX2
/* The values at a pixel's four tiles, each times the product of its shares. */
inline __m128 weigh_tiles(const float *u, const float *d, const double *shares, __m256d gy_and_fy) {
    const __m128i pairs = _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(u)),
                                             _mm_loadl_epi64(reinterpret_cast<const __m128i *>(d)));
    const __m256d values = _mm256_cvtps_pd(_mm_castsi128_ps(pairs));
    const __m256d pair = _mm256_broadcast_pd(reinterpret_cast<const __m128d *>(shares));
    return _mm256_cvtpd_ps(_mm256_mul_pd(values, _mm256_mul_pd(pair, gy_and_fy)));
}
#endif

/* scikit-image's blend of a row of pixels, truncated: the values at the four tiles, each times the
 * product of its shares in double precision, are added up in single precision. */
inline void blend_skimage(const float *up, const float *down, const int32_t *table_index,
                          const double *shares, double fy, ptrdiff_t n, int32_t *out) {
    const double gy = 1.0 - fy;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256d gy_and_fy = _mm256_setr_pd(gy, gy, fy, fy);
    for (; i + 4 <= n; i += 4) {
        __m128 w[4];
        for (int k = 0; k < 4; ++k)
            w[k] = weigh_tiles(up + table_index[i + k], down + table_index[i + k],
                               shares + 2 * (i + k), gy_and_fy);
        _MM_TRANSPOSE4_PS(w[0], w[1], w[2], w[3]);
        const __m128 sums = _mm_add_ps(_mm_add_ps(_mm_add_ps(w[0], w[1]), w[2]), w[3]);
        _mm_storeu_si128(reinterpret_cast<__m128i *>(out + i), _mm_cvttps_epi32(sums));
    }
#endif
    for (; i < n; ++i) {
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

/* The blend of a plane of codes by the tables of rows of tiles: row_of(k) is that of row k. There is
 * room for a row of numbers. */
template <class RowOf>
void blend_rows_skimage(const uint16_t *codes, ptrdiff_t stride, const Centers &centers,
                        int32_t *table_index, int32_t *row, uint16_t *blended,
                        const RowOf &row_of) {
    for (ptrdiff_t y = 0; y < centers.height; ++y) {
        const ptrdiff_t start = y * centers.width;
        const float *up = row_of(centers.above[y]), *down = row_of(centers.below[y]);
        index_tables(codes + start, centers.width, stride, centers.places, table_index);
        blend_skimage(up, down, table_index, centers.shares, centers.fy[y], centers.width, row);
        narrow(row, centers.width, blended + start);
    }
}

/* Arrays that every plane of a call uses anew. */
struct SkimageArrays {
    uint16_t *codes, *blended; /* (n,) */
    uint16_t *padded;          /* a row of the tiles' pixels */
    int32_t *table_index, *row;
    double *values;

    SkimageArrays(Scratch &scratch, const Tiles &tiles, ptrdiff_t n) {
        codes = scratch.array<uint16_t>(n);
        blended = scratch.array<uint16_t>(n);
        padded = scratch.array<uint16_t>(tiles.columns.n_pixels());
        table_index = scratch.array<int32_t>(tiles.width);
        row = scratch.array<int32_t>(tiles.width);
        values = scratch.array<double>(tiles.width);
    }
};

/* The blend of a plane of codes, whose tiles are counted when their turn comes. */
inline void blend_codes(const Tiles &tiles, const Centers &centers, const ClaheRule &rule,
                        const SkimageTables &scratch, const SkimageArrays &arrays) {
    const ptrdiff_t stride = lanes_of(tiles.columns.n) + 2, size = rule.n_bins * stride;
    const ptrdiff_t n_pixels = tiles.rows.length(0) * tiles.columns.length(0);
    ptrdiff_t built = -1;
    const auto row_of = [&](ptrdiff_t k) {
        while (built < k) {
            const size_t n_counts = static_cast<size_t>(tiles.columns.n * rule.n_bins);
            std::memset(scratch.counts, 0, n_counts * sizeof(int32_t));
            count_codes_of_row(arrays.codes, ++built, tiles, {1, rule.n_bins}, arrays.padded,
                               scratch.counts);
            set_tables_skimage(tiles.columns.n, n_pixels, rule, scratch,
                               scratch.tables + (built & 1) * size);
        }
        return scratch.tables + (k & 1) * size;
    };
    blend_rows_skimage(arrays.codes, stride, centers, arrays.table_index, arrays.row,
                       arrays.blended, row_of);
}

/* skimage.exposure.equalize_adapthist of each plane, into the same row of out; the limit is a
 * number of pixels. ranges (..., 2), if given, are what the bins of each plane span, as 16 bits;
 * NaN: its own range. is_stretched: the values of each plane are stretched to [0, 1] at last. */
template <class Level>
int clahe_skimage(Planes<Level> planes, Output out, Tiles tiles, Centers centers,
                  double clip_limit, ptrdiff_t n_bins, bool is_float32, Array<const double> ranges,
                  bool is_stretched) {
    const ptrdiff_t n = planes.shape[1], width = tiles.width;
    const ClaheRule rule{clip_limit, n_bins, is_float32};
    Scratch scratch;
    const SkimageTables tables(scratch, lanes_of(tiles.columns.n), n_bins);
    const SkimageArrays arrays(scratch, tiles, n);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        LevelRange range{0, N_GRAYS - 1};
        stretch_levels(planes.row(p), n, range_of(ranges, p), 1 + N_GRAYS / n_bins, arrays.codes);
        blend_codes(tiles, centers, rule, tables, arrays);
        if (is_stretched)
            range = find_range(arrays.blended, nullptr, n);
        for (ptrdiff_t start = 0; start < n; start += width) {
            stretch_row(arrays.blended + start, width, range, is_float32, arrays.values);
            store(arrays.values, width, {is_float32, 1.0}, out.from(p * n + start));
        }
    }
    return DONE;
}

/* In passes over parts of planes ------------------------------------------------------------- */

/* Set scikit-image's tables (n_rows, n_bins * (lanes + 2)) of rows of n_tiles tiles of n_pixels
 * pixels from their counts (n_rows, n_bins * lanes); the limit is a number of pixels. */
template <class Count>
int find_tables_skimage(Planes<Count> counts, Array<float> tables, ptrdiff_t n_tiles,
                        ptrdiff_t n_pixels, double clip_limit) {
    const ptrdiff_t lanes = lanes_of(n_tiles), n_bins = counts.shape[1] / lanes;
    Scratch scratch;
    const SkimageTables row(scratch, lanes, n_bins);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t k = 0; k < counts.shape[0]; ++k) {
        for (ptrdiff_t t = 0; t < n_tiles; ++t)
            for (ptrdiff_t b = 0; b < n_bins; ++b)
                row.counts[t * n_bins + b] = counts.row(k)[b * lanes + t];
        set_tables_skimage(n_tiles, n_pixels, {clip_limit, n_bins, false}, row, row.tables);
        std::memcpy(tables.row(k), row.tables, static_cast<size_t>(tables.shape[1]) * sizeof(float));
    }
    return DONE;
}

/* The blend of equalize_adapthist of a part of planes of bin numbers, by the tables (n_rows,
 * n_planes, n_bins * stride) of the tiles around it. */
template <class Code>
int blend_tiles_skimage(Planes<Code> codes, Array<Code> out, Centers centers,
                        Array<const float> tables, ptrdiff_t n_bins) {
    const ptrdiff_t size = tables.shape[2];
    Scratch scratch;
    int32_t *table_index = scratch.array<int32_t>(centers.width);
    int32_t *row = scratch.array<int32_t>(centers.width);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < codes.shape[0]; ++p)
        blend_rows_skimage(codes.row(p), size / n_bins, centers, table_index, row, out.row(p),
                           [=](ptrdiff_t k) {
                               return tables.start + (k * tables.shape[1] + p) * size;
                           });
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
