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

/* Along an axis, the pixels that tiles count, one tile after the other. */
struct TiledAxis {
    const int32_t *starts; /* (n + 1,) those of tile k begin at starts[k] */
    const int32_t *pixels; /* (starts[n],) or nullptr: pixel i is i itself */
    ptrdiff_t n;
    bool is_even; /* all tiles have the same length */

    ptrdiff_t pixel(ptrdiff_t i) const { return pixels ? pixels[i] : i; }
    ptrdiff_t length(ptrdiff_t k) const { return starts[k + 1] - starts[k]; }
    ptrdiff_t n_pixels() const { return starts[n]; }
};

/* Which pixels of planes the tiles count. Volumes have layers of tiles; a plane is a volume of one
 * slice and one layer. */
struct Tiles {
    TiledAxis layers, rows, columns;
    ptrdiff_t height, width; /* of the planes */
};

/* Between which tiles' centers each pixel lies. */
struct Centers {
    const int32_t *front, *back;  /* (depth,) the layers of tiles around each slice */
    const double *fz;             /* (depth,) the share of the layer behind */
    const int32_t *above, *below; /* (height,) the rows of tiles around each row of pixels */
    const double *fy;             /* (height,) the share of the lower row of tiles */
    const int32_t *places;        /* (width,) where a pixel's two tiles begin in a row of tables */
    const double *shares;         /* (width, 2) of the left and the right tile */
    ptrdiff_t depth, height, width;

    ptrdiff_t n_rows() const { return below[height - 1] + 1; } /* of tiles in a layer */
};

} // namespace histeq

namespace histeq::HISTEQ_TARGET {

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

/* A function that is compiled by itself: within others GCC keeps its sums in memory. */
#if defined(_MSC_VER)
#define HISTEQ_APART __declspec(noinline)
#else
#define HISTEQ_APART __attribute__((noinline))
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

/* How far apart the counts of two codes of a tile are, and those of two tiles. */
struct CountSteps {
    ptrdiff_t code, tile;
};

/* Add the codes of a row of pixels of tiles of one length. It goes from tile to tile: of equal
 * pixels, one count need not wait for the one before. */
template <class Code>
void count_even_lanes(const Code *codes, ptrdiff_t n_tiles, ptrdiff_t length, CountSteps steps,
                      int32_t *counts) {
    if (n_tiles == TILE_LANES && steps.code == TILE_LANES) { /* constants spare a multiplication */
        for (ptrdiff_t i = 0; i < length; ++i)
            for (ptrdiff_t t = 0; t < TILE_LANES; ++t)
                ++counts[codes[t * length + i] * TILE_LANES + t];
        return;
    }
    for (ptrdiff_t i = 0; i < length; ++i)
        for (ptrdiff_t t = 0; t < n_tiles; ++t)
            ++counts[codes[t * length + i] * steps.code + t * steps.tile];
}

/* Add the codes of a row of pixels, each for every time that a tile counts the pixel. */
template <class Code>
void count_lanes(const Code *codes, const TiledAxis &columns, CountSteps steps, Code *padded,
                 int32_t *counts) {
    const int32_t *starts = columns.starts, *pixels = columns.pixels;
    const ptrdiff_t n_tiles = columns.n, length = columns.length(0), n = columns.n_pixels();
    if (pixels) {
        for (ptrdiff_t i = 0; i < n; ++i)
            padded[i] = codes[pixels[i]];
        codes = padded;
    }
    if (columns.is_even)
        return count_even_lanes(codes + starts[0], n_tiles, length, steps, counts);
    for (ptrdiff_t t = 0; t < n_tiles; ++t)
        for (ptrdiff_t i = starts[t]; i < starts[t + 1]; ++i)
            ++counts[codes[i] * steps.code + t * steps.tile];
}

/* Add the codes of the pixels of each tile of row k of a layer; codes_of(y) returns those of row y
 * of the pixels, of all slices. */
template <class Code, class CodesOf>
void count_tile_row(ptrdiff_t layer, ptrdiff_t k, const Tiles &tiles, CountSteps steps,
                    Code *padded, int32_t *counts, const CodesOf &codes_of) {
    const TiledAxis &slices = tiles.layers, &rows = tiles.rows;
    for (ptrdiff_t z = slices.starts[layer]; z < slices.starts[layer + 1]; ++z)
        for (ptrdiff_t y = rows.starts[k]; y < rows.starts[k + 1]; ++y)
            count_lanes(codes_of(slices.pixel(z) * tiles.height + rows.pixel(y)), tiles.columns,
                        steps, padded, counts);
}

/* Add the codes of the pixels of each tile of row k of a plane. */
template <class Code>
void count_codes_of_row(const Code *codes, ptrdiff_t k, const Tiles &tiles, CountSteps steps,
                        Code *padded, int32_t *counts) {
    count_tile_row(0, k, tiles, steps, padded, counts,
                   [=, width = tiles.width](ptrdiff_t y) { return codes + y * width; });
}

/* Set the counts (n_rows, n_planes, n_codes * lanes) of the levels, or codes, of the tiles of a part
 * of planes. */
template <class Code> int count_codes(Planes<Code> planes, Array<int32_t> counts, Tiles tiles) {
    const ptrdiff_t n_counts = counts.shape[0] * counts.shape[1] * counts.shape[2];
    Scratch scratch;
    Code *padded = scratch.array<Code>(tiles.columns.n_pixels());
    if (!scratch.is_complete)
        return NO_MEMORY;
    std::memset(counts.start, 0, static_cast<size_t>(n_counts) * sizeof(int32_t));
    for (ptrdiff_t k = 0; k < tiles.rows.n; ++k)
        for (ptrdiff_t p = 0; p < planes.shape[0]; ++p)
            count_codes_of_row(planes.row(p), k, tiles, {lanes_of(tiles.columns.n), 1}, padded,
                               counts.start + (k * planes.shape[0] + p) * counts.shape[2]);
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
