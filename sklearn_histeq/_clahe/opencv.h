/* CLAHE as cv2.createCLAHE computes it.
 *
 * How the bits are kept: counts are whole; the tables' values and the blend are in single precision
 * in OpenCV's order of operations, rounded half to even; no multiply-add is contracted. What is
 * clipped is shared out by a closed form of OpenCV's loop: (v + 1/2) / s is never rounded across a
 * whole number.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/types.h"
#include "tiles.h"

namespace histeq::HISTEQ_TARGET {

/* Arrays that every plane of a call uses anew. */
struct OpencvArrays {
    int32_t *table_index, *row; /* (width,) */
    float *shares;              /* (2, width), of the left and of the right tile */

    OpencvArrays(Scratch &scratch, const Centers &centers) {
        const ptrdiff_t width = centers.width;
        table_index = scratch.array<int32_t>(width);
        row = scratch.array<int32_t>(width);
        shares = scratch.array<float>(2 * width);
        for (ptrdiff_t i = 0; scratch.is_complete && i < width; ++i) {
            shares[i] = static_cast<float>(centers.shares[2 * i]);
            shares[width + i] = static_cast<float>(centers.shares[2 * i + 1]);
        }
    }
};

/* Arrays for the tables of tiles that are counted when their turn comes. */
struct OpencvTiles {
    uint16_t *codes;    /* (n,), of planes of words: the ranks of their levels */
    int32_t *levels;    /* (n_codes,), with a rank */
    int32_t *counts;    /* (n_codes, lanes) */
    uint16_t *tables;   /* 2 of (n_codes, lanes + 2) */
    uint16_t *padded;   /* a row of the tiles' pixels */
    Present *present;

    OpencvTiles(Scratch &scratch, const Tiles &tiles, ptrdiff_t n, ptrdiff_t n_levels) {
        const ptrdiff_t lanes = lanes_of(tiles.columns.n);
        const ptrdiff_t n_codes = n_levels == 256 ? 256 : least(n_levels, n);
        codes = scratch.array<uint16_t>(n_levels == 256 ? 0 : n);
        levels = scratch.array<int32_t>(n_codes);
        counts = scratch.array<int32_t>(n_codes * lanes);
        tables = scratch.array<uint16_t>(2 * n_codes * (lanes + 2) + TILE_LANES);
        padded = scratch.array<uint16_t>(tiles.columns.n_pixels());
        present = scratch.array<Present>(n_levels > 256);
    }
};

/* What all tables of a plane have in common. */
struct OpencvTables {
    const int32_t *levels; /* (n_codes,), nullptr: 0, 1, ... */
    ptrdiff_t n_codes, lanes;
    int32_t limit, n_levels;
    float scale;

    int32_t level_of(ptrdiff_t code) const {
        return levels ? levels[code] : static_cast<int32_t>(code);
    }
};

/* How what is clipped of TILE_LANES tiles is shared out: each level gets a share; of the rest r,
 * levels 0, s, 2s, ... get one more, with s = n_levels // r. */
struct OpencvShares {
    int32_t share[TILE_LANES], rest[TILE_LANES];
    float inverse[TILE_LANES]; /* 1 / s, or 0 */

    OpencvShares(const int32_t *counts, const OpencvTables &tables) {
        int32_t excess[TILE_LANES] = {0};
        const ptrdiff_t n_codes = tables.n_codes, lanes = tables.lanes;
        const int32_t limit = tables.limit, n_levels = tables.n_levels;
        for (ptrdiff_t r = 0; r < n_codes; ++r)
            HISTEQ_EACH_TILE(j) {
                const int32_t above = counts[r * lanes + j] - limit;
                excess[j] += above > 0 ? above : 0;
            }
        for (ptrdiff_t j = 0; j < TILE_LANES; ++j) {
            share[j] = excess[j] / n_levels, rest[j] = excess[j] % n_levels;
            inverse[j] = rest[j] ? 1.0f / static_cast<float>(n_levels / rest[j]) : 0.0f;
        }
    }
};

#ifdef HISTEQ_AVX2
inline __m256i load_ints(const int32_t *p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
}
#endif

/* Set OpenCV's tables of TILE_LANES tiles of a row: clipped counts and shares, cumulated, times
 * scale, rounded half to even. */
HISTEQ_APART inline void build_opencv(const int32_t *counts, const OpencvTables &tables, uint16_t *out) {
    const OpencvShares shares(counts, tables);
    const OpencvTables t = tables; /* a copy, which stores leave as it is */
    const ptrdiff_t stride = t.lanes + 2;
#ifdef HISTEQ_AVX2
    const __m256i each = load_ints(shares.share), rests = load_ints(shares.rest);
    const __m256i one = _mm256_set1_epi32(1), limits = _mm256_set1_epi32(t.limit);
    const __m256i tops = _mm256_set1_epi32(t.n_levels - 1);
    const __m256 inverses = _mm256_loadu_ps(shares.inverse), scales = _mm256_set1_ps(t.scale);
    __m256i sums = _mm256_setzero_si256();
    for (ptrdiff_t r = 0; r < t.n_codes; ++r) {
        const int32_t level = t.level_of(r);
        const __m256 middle = _mm256_set1_ps(static_cast<float>(level) + 0.5f);
        const __m256i steps =
            _mm256_add_epi32(_mm256_cvttps_epi32(_mm256_mul_ps(middle, inverses)), one);
        const __m256i even = _mm256_mullo_epi32(each, _mm256_set1_epi32(level + 1));
        sums = _mm256_add_epi32(sums, _mm256_min_epi32(load_ints(counts + r * t.lanes), limits));
        const __m256i all =
            _mm256_add_epi32(_mm256_add_epi32(sums, even), _mm256_min_epi32(steps, rests));
        /* the conversion rounds half to even */
        const __m256i whole = _mm256_min_epi32(
            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(all), scales)), tops);
        _mm_storeu_si128(
            reinterpret_cast<__m128i *>(out + r * stride),
            _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
    }
#else
    int32_t sum[TILE_LANES] = {0};
    const float top = static_cast<float>(t.n_levels - 1);
    for (ptrdiff_t r = 0; r < t.n_codes; ++r) {
        const int32_t level = t.level_of(r);
        const float middle = static_cast<float>(level) + 0.5f;
        HISTEQ_EACH_TILE(j) {
            const int32_t count = counts[r * t.lanes + j], rest = shares.rest[j];
            const int32_t steps = static_cast<int32_t>(middle * shares.inverse[j]) + 1;
            sum[j] += count < t.limit ? count : t.limit;
            const int32_t all =
                sum[j] + shares.share[j] * (level + 1) + (steps < rest ? steps : rest);
            const float value = (static_cast<float>(all) * t.scale + MAGIC_32) - MAGIC_32;
            out[r * stride + j] =
                static_cast<uint16_t>(static_cast<int32_t>(value < top ? value : top));
        }
    }
#endif
}

#ifdef HISTEQ_AVX2
inline int32_t load_pair(const uint16_t *p) {
    int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return pair;
}

/* Eight pairs of words, as they lie in memory. */
inline __m256i load_pairs(const uint16_t *table, const int32_t *k) {
    return _mm256_setr_epi32(load_pair(table + k[0]), load_pair(table + k[1]),
                             load_pair(table + k[2]), load_pair(table + k[3]),
                             load_pair(table + k[4]), load_pair(table + k[5]),
                             load_pair(table + k[6]), load_pair(table + k[7]));
}
#endif

/* OpenCV's blend of a row of pixels, rounded half to even: (a * (1 - fx) + b * fx) * (1 - fy) + (c
 * * (1 - fx) + d * fx) * fy in single precision; a and b are up[table_index], up[table_index + 1],
 * c and d down's. */
inline void blend_opencv(const uint16_t *up, const uint16_t *down, const int32_t *table_index,
                         const float *shares, float fy, ptrdiff_t n, int32_t *out) {
    const float gy = 1.0f - fy, *gx = shares, *fx = shares + n;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256 above = _mm256_set1_ps(gy), below = _mm256_set1_ps(fy);
    const __m256i low = _mm256_set1_epi32(0xffff);
    for (; i + 8 <= n; i += 8) {
        const __m256 left = _mm256_loadu_ps(gx + i), right = _mm256_loadu_ps(fx + i);
        const __m256i u = load_pairs(up, table_index + i), d = load_pairs(down, table_index + i);
        const __m256 upper =
            _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(u, low)), left),
                          _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(u, 16)), right));
        const __m256 lower =
            _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(d, low)), left),
                          _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(d, 16)), right));
        const __m256 v = _mm256_add_ps(_mm256_mul_ps(upper, above), _mm256_mul_ps(lower, below));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + i), _mm256_cvtps_epi32(v));
    }
#endif
    for (; i < n; ++i) {
        const uint16_t *u = up + table_index[i], *d = down + table_index[i];
        const float v =
            (static_cast<float>(u[0]) * gx[i] + static_cast<float>(u[1]) * fx[i]) * gy +
            (static_cast<float>(d[0]) * gx[i] + static_cast<float>(d[1]) * fx[i]) * fy;
        out[i] = static_cast<int32_t>((v + MAGIC_32) - MAGIC_32);
    }
}

/* Set the tables (n_codes, lanes + 2) of a row of n_tiles tiles from their counts. */
inline void set_tables_opencv(const int32_t *counts, ptrdiff_t n_tiles, const OpencvTables &tables,
                              uint16_t *out) {
    for (ptrdiff_t t = 0; t < tables.lanes; t += TILE_LANES)
        build_opencv(counts + t, tables, out + 1 + t);
    repeat_outer(out, tables.n_codes, n_tiles, tables.lanes + 2);
}

/* The blend of the pixels of a plane with such codes, by the tables of rows of tiles: row_of(k) is
 * that of row k. */
template <class Code, class Level, class RowOf>
void blend_rows_opencv(const Code *codes, ptrdiff_t stride, const Centers &centers,
                       const OpencvArrays &arrays, Level *out, const RowOf &row_of) {
    for (ptrdiff_t y = 0; y < centers.height; ++y) {
        const ptrdiff_t start = y * centers.width;
        const uint16_t *up = row_of(centers.above[y]), *down = row_of(centers.below[y]);
        index_tables(codes + start, centers.width, stride, centers.places, arrays.table_index);
        blend_opencv(up, down, arrays.table_index, arrays.shares,
                     static_cast<float>(centers.fy[y]), centers.width, arrays.row);
        narrow(arrays.row, centers.width, out + start);
    }
}

/* cv2.createCLAHE of a plane with such codes, into out. */
template <class Code, class Level>
void clahe_opencv_codes(const Code *codes, const Tiles &tiles, const Centers &centers,
                        const OpencvTables &tables, const OpencvTiles &scratch,
                        const OpencvArrays &arrays, Level *out) {
    const ptrdiff_t stride = tables.lanes + 2, size = tables.n_codes * stride;
    ptrdiff_t built = -1;
    blend_rows_opencv(codes, stride, centers, arrays, out, [&](ptrdiff_t k) {
        while (built < k) {
            const size_t n_counts = static_cast<size_t>(tables.n_codes * tables.lanes);
            std::memset(scratch.counts, 0, n_counts * sizeof(int32_t));
            count_codes_of_row(codes, ++built, tiles, {tables.lanes, 1},
                               reinterpret_cast<Code *>(scratch.padded), scratch.counts);
            set_tables_opencv(scratch.counts, tiles.columns.n, tables,
                              scratch.tables + (built & 1) * size);
        }
        return scratch.tables + (k & 1) * size;
    });
}

/* Number the levels that a plane has; returns how many there are. */
inline int32_t code_levels(const uint16_t *x, ptrdiff_t n, const OpencvTiles &scratch) {
    const LevelRange range = find_range(x, nullptr, n);
    const int32_t n_codes = find_present(x, nullptr, n, range, *scratch.present);
    find_ranks(x, n, range, *scratch.present, scratch.codes);
    for (ptrdiff_t i = 0; i < n; ++i)
        scratch.levels[scratch.codes[i]] = x[i];
    return n_codes;
}

/* What the tables of tiles of so many pixels have in common. */
inline OpencvTables tables_of(ptrdiff_t n_levels, ptrdiff_t lanes, ptrdiff_t n_pixels,
                              double clip_limit) {
    const float scale = static_cast<float>(n_levels - 1) / static_cast<float>(n_pixels);
    const int32_t limit = static_cast<int32_t>(clip_limit);
    return {nullptr, n_levels, lanes, limit, static_cast<int32_t>(n_levels), scale};
}

/* cv2.createCLAHE of each plane, into the same row of out; the limit is a number of pixels. */
template <class Level>
int clahe_opencv(Planes<Level> planes, Array<Level> out, Tiles tiles, Centers centers,
                 double clip_limit) {
    const ptrdiff_t n = planes.shape[1];
    Scratch memory;
    const OpencvArrays arrays(memory, centers);
    const OpencvTiles scratch(memory, tiles, n, N_LEVELS<Level>);
    if (!memory.is_complete)
        return NO_MEMORY;
    OpencvTables tables = tables_of(N_LEVELS<Level>, lanes_of(tiles.columns.n),
                                    tiles.rows.length(0) * tiles.columns.length(0), clip_limit);
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        if constexpr (sizeof(Level) == 1) {
            clahe_opencv_codes(planes.row(p), tiles, centers, tables, scratch, arrays, out.row(p));
        } else {
            tables.levels = scratch.levels;
            tables.n_codes = code_levels(planes.row(p), n, scratch);
            clahe_opencv_codes(scratch.codes, tiles, centers, tables, scratch, arrays, out.row(p));
        }
    }
    return DONE;
}

/* In passes over parts of planes ------------------------------------------------------------- */

/* Set OpenCV's tables (n_rows, n_levels * (lanes + 2)) of rows of n_tiles tiles of n_pixels pixels
 * from the counts (n_rows, n_levels * lanes) of all levels. */
template <class Count>
int find_tables_opencv(Planes<Count> counts, Array<uint16_t> tables, ptrdiff_t n_tiles,
                       ptrdiff_t n_pixels, double clip_limit) {
    const ptrdiff_t lanes = lanes_of(n_tiles), n_levels = counts.shape[1] / lanes;
    const OpencvTables rule = tables_of(n_levels, lanes, n_pixels, clip_limit);
    Scratch scratch;
    uint16_t *row = scratch.array<uint16_t>(tables.shape[1] + TILE_LANES);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t k = 0; k < counts.shape[0]; ++k) {
        set_tables_opencv(counts.row(k), n_tiles, rule, row);
        std::memcpy(tables.row(k), row, static_cast<size_t>(tables.shape[1]) * sizeof(uint16_t));
    }
    return DONE;
}

/* OpenCV's blend of a part of planes by the tables (n_rows, n_planes, n_levels * stride) of the tiles
 * around it. */
template <class Level>
int blend_tiles_opencv(Planes<Level> planes, Array<Level> out, Centers centers,
                       Array<const uint16_t> tables) {
    const ptrdiff_t size = tables.shape[2];
    Scratch scratch;
    const OpencvArrays arrays(scratch, centers);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p)
        blend_rows_opencv(planes.row(p), size / N_LEVELS<Level>, centers, arrays, out.row(p),
                          [=](ptrdiff_t k) {
                              return tables.start + (k * tables.shape[1] + p) * size;
                          });
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
