/* The hot loops of _loops.h, compiled for the instruction sets that processor and compiler know,
 * and the choice of one.
 *
 * Every loop is compiled for the baseline and, on x86-64 with GCC or Clang and the GNU C library,
 * once more for AVX2; byte tables are applied with AVX-512 VBMI too. `histeq_simd` chooses at run
 * time. All variants give the same bits: no multiply-add is contracted (build with
 * -ffp-contract=off), no sum is reordered.
 */
#ifndef HISTEQ_SIMD_H
#define HISTEQ_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && (defined(__GNUC__) || defined(__clang__)) &&      \
    !defined(HISTEQ_PORTABLE)
#define HISTEQ_X86 1
#include <immintrin.h>
#endif

#if defined(_M_X64) || defined(_M_ARM64) ||                                                        \
    (defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#define HISTEQ_LITTLE_ENDIAN 1
#endif

enum { PORTABLE = 0, AVX2 = 1, AVX512_VBMI = 2 };
enum { N_STREAMED = 131072 }; /* doubles that no near cache holds */
enum { CHUNK = 32 }; /* pixels whose intervals are found together */

/* Adding and subtracting 1.5 * 2**(digits - 1) rounds to a whole number, half to even. */
#define MAGIC_32 12582912.0f
#define MAGIC_64 6755399441055744.0

/* One straight piece of a transfer function: slope * (x - x0) + y0. */
typedef struct {
    double x0, slope, y0, unused; /* 32 bytes: one load */
} segment;

static int histeq_simd = PORTABLE;

static int histeq_best_simd(void) {
#ifdef HISTEQ_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2"))
        return PORTABLE;
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw"))
        return AVX512_VBMI;
    return AVX2;
#else
    return PORTABLE;
#endif
}

/* name_type_set, as extend_range_f32_avx2 */
#define JOIN_(a, b, c) a##_##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)

#define TARGET

#define FUNCTION(name) JOIN(name, f32, base)
#define REAL float
#include "_loops.h"
#undef FUNCTION
#undef REAL

#define FUNCTION(name) JOIN(name, f64, base)
#define REAL double
#include "_loops.h"
#undef FUNCTION
#undef REAL

#define FUNCTION(name) JOIN(name, u8, base)
#define LEVEL uint8_t
#include "_loops.h"
#undef FUNCTION
#undef LEVEL

#define FUNCTION(name) JOIN(name, u16, base)
#define LEVEL uint16_t
#include "_loops.h"
#undef FUNCTION
#undef LEVEL

#define FUNCTION(name) name##_base
#include "_loops.h"
#undef FUNCTION
#undef TARGET

#ifdef HISTEQ_X86
#define TARGET __attribute__((target("avx2")))
#define HISTEQ_AVX2

#define FUNCTION(name) JOIN(name, f32, avx2)
#define REAL float
#define VECTOR __m256
#define LANES 8
#define V(name) _mm256_##name##_ps
#define LOAD4(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
#define STORE_TRUNCATED(p, v) _mm256_storeu_si256((__m256i *)(p), _mm256_cvttps_epi32(v))
#include "_loops.h"
#undef FUNCTION
#undef REAL
#undef VECTOR
#undef LANES
#undef V
#undef LOAD4
#undef STORE_TRUNCATED

#define FUNCTION(name) JOIN(name, f64, avx2)
#define REAL double
#define VECTOR __m256d
#define LANES 4
#define V(name) _mm256_##name##_pd
#define LOAD4(p) _mm256_loadu_pd(p)
#define STORE_TRUNCATED(p, v) _mm_storeu_si128((__m128i *)(p), _mm256_cvttpd_epi32(v))
#include "_loops.h"
#undef FUNCTION
#undef REAL
#undef VECTOR
#undef LANES
#undef V
#undef LOAD4
#undef STORE_TRUNCATED

#define FUNCTION(name) JOIN(name, u8, avx2)
#define LEVEL uint8_t
#include "_loops.h"
#undef FUNCTION
#undef LEVEL

#define FUNCTION(name) JOIN(name, u16, avx2)
#define LEVEL uint16_t
#include "_loops.h"
#undef FUNCTION
#undef LEVEL

#define FUNCTION(name) name##_avx2
#include "_loops.h"
#undef FUNCTION
#undef TARGET
#undef HISTEQ_AVX2

/* table[x] of n bytes: the four quarters of the table stay in registers. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static void
map_bytes_vbmi(const uint8_t *x, ptrdiff_t n, const uint8_t *table, uint8_t *out) {
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
    const __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    for (ptrdiff_t i = 0; i < n; i += 64) {
        const __mmask64 in = n - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        const __m512i v = _mm512_maskz_loadu_epi8(in, x + i);
        const __m512i low = _mm512_permutex2var_epi8(t0, v, t1),
                      high = _mm512_permutex2var_epi8(t2, v, t3);
        _mm512_mask_storeu_epi8(out + i, in,
                                _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high));
    }
}

/* table[x] of n bytes, written past the caches: a result larger than these would only pass through
 * them, and be read first. */
__attribute__((target("avx2"))) static void stream_bytes_f64(const uint8_t *x, ptrdiff_t n,
                                                             const double *table, double *out) {
    ptrdiff_t i = 0;
    for (; i < n && ((uintptr_t)(out + i) & 31); ++i)
        out[i] = table[x[i]];
    for (; i + 4 <= n; i += 4)
        _mm256_stream_pd(out + i, _mm256_setr_pd(table[x[i]], table[x[i + 1]], table[x[i + 2]],
                                                 table[x[i + 3]]));
    for (; i < n; ++i)
        out[i] = table[x[i]];
    _mm_sfence();
}

/* table[x] of n bytes, n a multiple of 32: sixteen rows by the low half of a byte, chosen by its
 * high half. */
__attribute__((target("avx2"))) static void map_bytes_avx2(const uint8_t *x, ptrdiff_t n,
                                                           const uint8_t *table, uint8_t *out) {
    const __m256i low_half = _mm256_set1_epi8(15);
    __m256i rows[16];
    for (int k = 0; k < 16; ++k)
        rows[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table + 16 * k)));
    for (ptrdiff_t i = 0; i < n; i += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(x + i));
        const __m256i low = _mm256_and_si256(v, low_half);
        const __m256i bit4 = _mm256_slli_epi16(v, 3), bit5 = _mm256_slli_epi16(v, 2);
        const __m256i bit6 = _mm256_slli_epi16(v, 1); /* the top bit of each byte chooses */
        __m256i pairs[4];
        for (int k = 0; k < 4; ++k) {
            const __m256i a = _mm256_blendv_epi8(_mm256_shuffle_epi8(rows[4 * k], low),
                                                 _mm256_shuffle_epi8(rows[4 * k + 1], low), bit4);
            const __m256i b = _mm256_blendv_epi8(_mm256_shuffle_epi8(rows[4 * k + 2], low),
                                                 _mm256_shuffle_epi8(rows[4 * k + 3], low), bit4);
            pairs[k] = _mm256_blendv_epi8(a, b, bit5);
        }
        const __m256i a = _mm256_blendv_epi8(pairs[0], pairs[1], bit6);
        const __m256i b = _mm256_blendv_epi8(pairs[2], pairs[3], bit6);
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_blendv_epi8(a, b, v));
    }
}
#endif

/* The kernels call name(...), which runs name_avx2(...) or name_base(...). */
#ifdef HISTEQ_X86
#define RUN(name, ...) (histeq_simd >= AVX2 ? name##_avx2(__VA_ARGS__) : name##_base(__VA_ARGS__))
#else
#define RUN(name, ...) (name##_base(__VA_ARGS__))
#endif

#define locate_f32(...) RUN(locate_f32, __VA_ARGS__)
#define extend_range_f32(...) RUN(extend_range_f32, __VA_ARGS__)
#define interpolate_f32(...) RUN(interpolate_f32, __VA_ARGS__)
#define locate_f64(...) RUN(locate_f64, __VA_ARGS__)
#define extend_range_f64(...) RUN(extend_range_f64, __VA_ARGS__)
#define interpolate_f64(...) RUN(interpolate_f64, __VA_ARGS__)
#define count_u8(...) RUN(count_u8, __VA_ARGS__)
#define count_masked_u8(...) RUN(count_masked_u8, __VA_ARGS__)
#define extend_range_u8(...) RUN(extend_range_u8, __VA_ARGS__)
#define look_up_counts_u8(...) RUN(look_up_counts_u8, __VA_ARGS__)
#define map_u8_u8(...) RUN(map_u8_u8, __VA_ARGS__)
#define look_up_u8_u8(...) RUN(look_up_u8_u8, __VA_ARGS__)
#define map_u16_u8(...) RUN(map_u16_u8, __VA_ARGS__)
#define look_up_u16_u8(...) RUN(look_up_u16_u8, __VA_ARGS__)
#define map_f32_u8(...) RUN(map_f32_u8, __VA_ARGS__)
#define look_up_f32_u8(...) RUN(look_up_f32_u8, __VA_ARGS__)
#define map_f64_u8(...) RUN(map_f64_u8, __VA_ARGS__)
#define look_up_f64_u8(...) RUN(look_up_f64_u8, __VA_ARGS__)
#define count_u16(...) RUN(count_u16, __VA_ARGS__)
#define count_masked_u16(...) RUN(count_masked_u16, __VA_ARGS__)
#define extend_range_u16(...) RUN(extend_range_u16, __VA_ARGS__)
#define look_up_counts_u16(...) RUN(look_up_counts_u16, __VA_ARGS__)
#define map_u8_u16(...) RUN(map_u8_u16, __VA_ARGS__)
#define look_up_u8_u16(...) RUN(look_up_u8_u16, __VA_ARGS__)
#define map_u16_u16(...) RUN(map_u16_u16, __VA_ARGS__)
#define look_up_u16_u16(...) RUN(look_up_u16_u16, __VA_ARGS__)
#define map_f32_u16(...) RUN(map_f32_u16, __VA_ARGS__)
#define look_up_f32_u16(...) RUN(look_up_f32_u16, __VA_ARGS__)
#define map_f64_u16(...) RUN(map_f64_u16, __VA_ARGS__)
#define look_up_f64_u16(...) RUN(look_up_f64_u16, __VA_ARGS__)
#define count_intervals(...) RUN(count_intervals, __VA_ARGS__)
#define add_fourfold(...) RUN(add_fourfold, __VA_ARGS__)
#define cumulate(...) RUN(cumulate, __VA_ARGS__)
#define opencv_levels(...) RUN(opencv_levels, __VA_ARGS__)
#define pillow_levels(...) RUN(pillow_levels, __VA_ARGS__)
#define divide(...) RUN(divide, __VA_ARGS__)
#define store_u8(...) RUN(store_u8, __VA_ARGS__)
#define store_u16(...) RUN(store_u16, __VA_ARGS__)
#define store_f32(...) RUN(store_f32, __VA_ARGS__)
#define store_f64(...) RUN(store_f64, __VA_ARGS__)

/* The same, eight bytes at a time, since a store takes longer than a shift. */
static inline void map_bytes_portable(const uint8_t *x, ptrdiff_t n, const uint8_t *table,
                                      uint8_t *out) {
    ptrdiff_t i = 0;
#ifdef HISTEQ_LITTLE_ENDIAN
    for (; i + 8 <= n; i += 8) {
        const uint64_t low = (uint64_t)table[x[i]] | (uint64_t)table[x[i + 1]] << 8 |
                             (uint64_t)table[x[i + 2]] << 16 | (uint64_t)table[x[i + 3]] << 24;
        const uint64_t high = (uint64_t)table[x[i + 4]] | (uint64_t)table[x[i + 5]] << 8 |
                              (uint64_t)table[x[i + 6]] << 16 | (uint64_t)table[x[i + 7]] << 24;
        const uint64_t eight = low | high << 32;
        memcpy(out + i, &eight, 8);
    }
#endif
    map_u8_u8(x + i, n - i, table, out + i);
}

/* table[x] of n bytes. */
static inline void map_bytes(const uint8_t *x, ptrdiff_t n, const uint8_t *table, uint8_t *out) {
    ptrdiff_t done = 0;
#ifdef HISTEQ_X86
    if (histeq_simd >= AVX512_VBMI) {
        map_bytes_vbmi(x, n, table, out);
        return;
    }
    if (histeq_simd >= AVX2) {
        done = n & ~(ptrdiff_t)31;
        map_bytes_avx2(x, done, table, out);
    }
#endif
    map_bytes_portable(x + done, n - done, table, out + done);
}

/* table[x] of n bytes, as doubles. */
static inline void map_to_doubles(const uint8_t *x, ptrdiff_t n, const double *table, double *out) {
#ifdef HISTEQ_X86
    if (histeq_simd >= AVX2 && n >= N_STREAMED) {
        stream_bytes_f64(x, n, table, out);
        return;
    }
#endif
    map_f64_u8(x, n, table, out);
}

#endif
