/* The hot loops of _tile_loops.h, compiled for the instruction sets of _simd.h. */
#ifndef HISTEQ_TILES_H
#define HISTEQ_TILES_H

#include "_simd.h"

enum { EIGHT = 8 }; /* tiles that are worked on together */

/* GCC would unroll so short a loop before it looks for vectors, and then finds none. */
#if defined(__GNUC__) && !defined(__clang__)
#define EACH_TILE(j) _Pragma("GCC unroll 1") for (int j = 0; j < EIGHT; ++j)
#else
#define EACH_TILE(j) for (int j = 0; j < EIGHT; ++j)
#endif

#define TARGET
#define FUNCTION(name) name##_base
#include "_tile_loops.h"
#undef FUNCTION
#undef TARGET

/* Add a row of the n_tiles tiles' pixels to counts[level * lanes + tile]. It goes from tile to tile:
 * of equal pixels, one count need not wait for the one before. */
static inline void count_lanes(const uint8_t *x, ptrdiff_t n_tiles, ptrdiff_t tile_width,
                               ptrdiff_t lanes, int32_t *counts) {
    if (n_tiles == EIGHT) { /* constants spare a multiplication a pixel */
        for (ptrdiff_t i = 0; i < tile_width; ++i)
            for (int t = 0; t < EIGHT; ++t)
                ++counts[x[t * tile_width + i] * EIGHT + t];
        return;
    }
    for (ptrdiff_t i = 0; i < tile_width; ++i)
        for (ptrdiff_t t = 0; t < n_tiles; ++t)
            ++counts[x[t * tile_width + i] * lanes + t];
}

#ifdef HISTEQ_X86
static inline int32_t load_pair(const uint16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}

/* Eight pairs of words, as they lie in memory. */
__attribute__((target("avx2"))) static inline __m256i load_pairs(const uint16_t *table,
                                                                 const int32_t *at) {
    return _mm256_setr_epi32(load_pair(table + at[0]), load_pair(table + at[1]),
                             load_pair(table + at[2]), load_pair(table + at[3]),
                             load_pair(table + at[4]), load_pair(table + at[5]),
                             load_pair(table + at[6]), load_pair(table + at[7]));
}

#define TARGET __attribute__((target("avx2")))
#define HISTEQ_AVX2
/* the pairs at two addresses, in one vector; a pair twice */
#define LOAD_PAIRS(p, q)                                                                           \
    _mm_castsi128_ps(                                                                              \
        _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(p)),                    \
                           _mm_loadl_epi64((const __m128i *)(const void *)(q))))
#define LOAD_INTS(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define LOAD_FOUR(p, q)                                                                            \
    _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(q), 1)
#define LOAD_TWICE(p) _mm256_broadcast_pd((const __m128d *)(const void *)(p))
#define FUNCTION(name) name##_avx2
#include "_tile_loops.h"
#undef FUNCTION
#undef TARGET
#undef HISTEQ_AVX2
#endif

#define opencv_tables(...) RUN(opencv_tables, __VA_ARGS__)
#define index_bytes(...) RUN(index_bytes, __VA_ARGS__)
#define index_codes(...) RUN(index_codes, __VA_ARGS__)
#define blend_opencv(...) RUN(blend_opencv, __VA_ARGS__)
#define narrow_to_u8(...) RUN(narrow_to_u8, __VA_ARGS__)
#define narrow_to_u16(...) RUN(narrow_to_u16, __VA_ARGS__)
#define clip_and_share(...) RUN(clip_and_share, __VA_ARGS__)
#define skimage_tables(...) RUN(skimage_tables, __VA_ARGS__)
#define blend_skimage(...) RUN(blend_skimage, __VA_ARGS__)
#define sum_over(...) RUN(sum_over, __VA_ARGS__)
#define clipped_cdfs(...) RUN(clipped_cdfs, __VA_ARGS__)
#define level_values(...) RUN(level_values, __VA_ARGS__)
#define blend_levels(...) RUN(blend_levels, __VA_ARGS__)
#define blend_points(...) RUN(blend_points, __VA_ARGS__)
#define weigh(...) RUN(weigh, __VA_ARGS__)

#endif
