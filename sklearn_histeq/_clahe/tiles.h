/* What all conventions of CLAHE share: tables of the tiles of one row, side by side.
 *
 * Counts and tables have entries [code * stride + tile], so that TILE_LANES tiles are worked on at
 * once, and a pixel finds the values of two neighbours in one place. A code is a level, the rank of
 * a level, or a bin. The tables of two rows of tiles are kept, those that surround a row of pixels:
 * row k in slot k % 2.
 */
#pragma once

#include "../_kernels/types.h"

namespace histeq {

/* Where the tiles of planes lie, and between which two tiles each row and column of pixels. The
 * planes of volumes have layers of tiles; a plane is a volume of one slice and one layer. */
struct Tiling {
    /* of each tile: (n, 2) edges; of the peers' tiles (n, side) pixels */
    const int32_t *rows, *columns;
    const int32_t *above, *below;  /* (height,) the rows of tiles around each row of pixels */
    const int32_t *places;         /* (width,) where a pixel's two tiles begin in a row of tables */
    const double *fy;              /* (height,) the share of the lower row of tiles */
    const double *shares;          /* (width, 2) of the left and the right tile */
    ptrdiff_t n_tiles;             /* of a row */
    ptrdiff_t tile_height, tile_width; /* of the peers' tiles */
    ptrdiff_t height, width;
    const int32_t *layers;       /* (n, 2) the slices of each layer of tiles */
    const int32_t *front, *back; /* (depth,) the layers of tiles around each slice */
    const double *fz;            /* (depth,) the share of the layer behind */
    ptrdiff_t n_rows, depth;     /* of tiles in a layer; of slices in a volume */
    ptrdiff_t begin, end;        /* the rows of pixels to write, of volumes the slices */
};

} // namespace histeq

namespace histeq::HISTEQ_TARGET {

/* The tiling to write some of the rows of pixels, of volumes some slices. */
inline Tiling within(Tiling tiling, RowSlice rows) {
    rows = rows.within(tiling.depth > 1 ? tiling.depth : tiling.height);
    tiling.begin = rows.begin, tiling.end = rows.end;
    return tiling;
}

/* How the counts of tiles become transfer functions. */
struct ClaheRule {
    double clip_limit; /* infinite for none; in the peers' conventions a number of pixels */
    ptrdiff_t n_bins;
    bool is_float32; /* the images are in single precision */
};

/* GCC would unroll so short a loop before it looks for vectors, and then finds none. */
#if defined(__GNUC__) && !defined(__clang__)
#define HISTEQ_EACH_TILE(j) _Pragma("GCC unroll 1") for (ptrdiff_t j = 0; j < TILE_LANES; ++j)
#else
#define HISTEQ_EACH_TILE(j) for (ptrdiff_t j = 0; j < TILE_LANES; ++j)
#endif

/* The number of tiles of a row, rounded up to a multiple of TILE_LANES. */
inline ptrdiff_t lanes_of(ptrdiff_t n_tiles) {
    return (n_tiles + TILE_LANES - 1) / TILE_LANES * TILE_LANES;
}

/* Repeat the first and the last tile's values beyond them. */
template <class Entry>
void repeat_outer(Entry *tables, ptrdiff_t n_codes, ptrdiff_t n_tiles, ptrdiff_t stride) {
    for (ptrdiff_t code = 0; code < n_codes; ++code) {
        Entry *row = tables + code * stride;
        row[0] = row[1];
        row[n_tiles + 1] = row[n_tiles];
    }
}

/* table_index = code * stride + place. */
template <class Code>
void index_tables(const Code *codes, ptrdiff_t n, ptrdiff_t stride, const int32_t *places,
                  int32_t *table_index) {
    const int32_t factor = static_cast<int32_t>(stride);
    for (ptrdiff_t i = 0; i < n; ++i)
        table_index[i] = static_cast<int32_t>(codes[i]) * factor + places[i];
}

/* Whole numbers that fit, as the output type. */
template <class Out> void narrow(const int32_t *values, ptrdiff_t n, Out *out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = static_cast<Out>(values[i]);
}

/* Add a row of the tiles' pixels to counts[code * factor + tile]. It goes from tile to tile: of
 * equal pixels, one count need not wait for the one before. */
template <class Code>
void count_lanes(const Code *codes, ptrdiff_t n_tiles, ptrdiff_t tile_width, ptrdiff_t factor,
                 int32_t *counts) {
    if (n_tiles == TILE_LANES && factor == TILE_LANES) { /* constants spare a multiplication */
        for (ptrdiff_t i = 0; i < tile_width; ++i)
            for (ptrdiff_t t = 0; t < TILE_LANES; ++t)
                ++counts[codes[t * tile_width + i] * TILE_LANES + t];
        return;
    }
    for (ptrdiff_t i = 0; i < tile_width; ++i)
        for (ptrdiff_t t = 0; t < n_tiles; ++t)
            ++counts[codes[t * tile_width + i] * factor + t];
}

} // namespace histeq::HISTEQ_TARGET
