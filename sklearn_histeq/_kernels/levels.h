/* Levels, integers of one or two bytes: counts, the levels present, lookup tables.
 *
 * How the bits are kept: a level's value is a function of whole numbers (the cumulated count and
 * the number of pixels), computed once per level in the order of the convention's own code. Counts
 * may be added in any order. What is looked up is a copy.
 */
#pragma once

#include "output.h"
#include "types.h"

namespace histeq::HISTEQ_TARGET {

/* The levels from low to high; low > high where no pixel is counted. */
struct LevelRange {
    int32_t low, high;
    ptrdiff_t n_levels() const { return high - low + 1; }
};

/* Counts ------------------------------------------------------------------------------------- */

/* The range of the pixels where the mask (or nullptr) is true. */
template <class Level>
LevelRange find_range(const Level *x, const uint8_t *mask, ptrdiff_t n) {
    Level low = static_cast<Level>(-1), high = 0;
    if (!mask) {
        for (ptrdiff_t i = 0; i < n; ++i) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        return {low, high};
    }
    int any = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const Level in = static_cast<Level>(-(mask[i] != 0)); /* all ones where counted */
        const Level p = static_cast<Level>(x[i] | static_cast<Level>(~in)), q = x[i] & in;
        low = p < low ? p : low;
        high = q > high ? q : high;
        any |= mask[i];
    }
    return any ? LevelRange{low, high} : LevelRange{65536, -1};
}

/* The same of wider integers: the least and the largest; low > high where no pixel is counted. */
template <class Wide> struct WideRange {
    Wide low, high;
};

template <class Wide>
WideRange<Wide> find_wide_range(const Wide *x, const uint8_t *mask, ptrdiff_t n) {
    Wide low = std::numeric_limits<Wide>::max(), high = std::numeric_limits<Wide>::min();
    for (ptrdiff_t i = 0; i < n; ++i) {
        const bool in = !mask || mask[i];
        low = in && x[i] < low ? x[i] : low;
        high = in && x[i] > high ? x[i] : high;
    }
    return {low, high};
}

/* Add the pixels of each level - low to four tables, stride apart (0: one table, where memory
 * counts more). Neighbours go to different tables: of equal pixels, one store need not wait for the
 * one before. */
template <class Level>
void count_into(const Level *x, ptrdiff_t n, int32_t low, int32_t *counts, ptrdiff_t stride) {
    int32_t *c0 = counts - low, *c1 = c0 + stride, *c2 = c1 + stride, *c3 = c2 + stride;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) {
        ++c0[x[i]], ++c1[x[i + 1]], ++c2[x[i + 2]], ++c3[x[i + 3]];
        ++c0[x[i + 4]], ++c1[x[i + 5]], ++c2[x[i + 6]], ++c3[x[i + 7]];
    }
    for (; i < n; ++i)
        ++c0[x[i]];
}

/* The same where the mask is true; other pixels go to a place behind the first n_levels counts. */
template <class Level>
void count_masked(const Level *x, const uint8_t *mask, ptrdiff_t n, LevelRange range,
                  int32_t *counts, ptrdiff_t stride) {
    const int32_t beyond = range.high + 1;
    int32_t *tables[4];
    for (int j = 0; j < 4; ++j)
        tables[j] = counts + j * stride - range.low;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        std::memcpy(&eight, mask + i, 8);
        if (!eight)
            continue;
        const bool is_whole = eight == 0x0101010101010101u;
        for (int j = 0; j < 8; ++j) {
            /* without a branch: all ones where counted */
            const int32_t in = is_whole ? -1 : -(mask[i + j] != 0);
            ++tables[j & 3][(x[i + j] & in) | ((beyond + (j & 3)) & ~in)];
        }
    }
    for (; i < n; ++i)
        if (mask[i])
            ++tables[0][x[i]];
}

/* Counts behind those of the levels, of pixels that do not count. */
constexpr ptrdiff_t N_BEYOND = 4;

/* Room for the counts of up to so many levels. */
inline ptrdiff_t n_counts(ptrdiff_t n_levels) {
    return greatest(n_levels, 4 * least(n_levels, N_FOURFOLD)) + 4 * N_BEYOND;
}

/* Add four tables of counts, stride apart, into the first. */
inline void add_fourfold(int32_t *counts, ptrdiff_t n, ptrdiff_t stride) {
    const int32_t *c1 = counts + stride, *c2 = c1 + stride, *c3 = c2 + stride;
    for (ptrdiff_t i = 0; i < n; ++i)
        counts[i] += (c1[i] + c2[i]) + c3[i];
}

/* Set the counts (with room for `n_counts`) of the levels of a range. */
template <class Level>
void count_levels(const Level *x, const uint8_t *mask, ptrdiff_t n, LevelRange range,
                  int32_t *counts) {
    const ptrdiff_t n_levels = range.n_levels(), room = n_levels + N_BEYOND;
    const bool is_fourfold =
        n_levels <= N_FOURFOLD && (n >= 4 * n_levels || (n_levels <= 256 && n >= 256));
    const ptrdiff_t stride = is_fourfold ? room : 0;
    std::memset(counts, 0, static_cast<size_t>(3 * stride + room) * sizeof(int32_t));
    if (mask)
        count_masked(x, mask, n, range, counts, stride);
    else
        count_into(x, n, range.low, counts, stride);
    if (is_fourfold)
        add_fourfold(counts, n_levels, stride);
}

/* Replace counts by their running sums. */
inline void cumulate(int32_t *counts, ptrdiff_t n) {
    int32_t total = 0;
    for (ptrdiff_t i = 0; i < n; ++i)
        counts[i] = total += counts[i];
}

/* Set the CDF of cumulated counts. */
inline void divide(const int32_t *cumulative, ptrdiff_t n, double *cdf) {
    const double n_pixels = cumulative[n - 1];
    for (ptrdiff_t i = 0; i < n; ++i)
        cdf[i] = static_cast<double>(cumulative[i]) / n_pixels;
}

/* The levels present ------------------------------------------------------------------------- */

/* The levels that a plane has, as bits, and how many there are before each 64. */
struct Present {
    uint64_t bits[1024];
    int32_t before[1024];

    /* The number of the greatest level present that is no greater, else of the least present. */
    int32_t rank_of(int32_t level) const {
        const int32_t word = level >> 6;
        const int32_t rank =
            before[word] + n_bits(bits[word] << (63 - (level & 63))) - 1;
        return rank < 0 ? 0 : rank;
    }

    static int32_t n_bits(uint64_t v) {
        /* compilers know this as one instruction, where there is one */
        v -= v >> 1 & 0x5555555555555555u;
        v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
        v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
        return static_cast<int32_t>(v * 0x0101010101010101u >> 56);
    }
};

/* Note the levels of the counted pixels, all of which lie in the range; returns how many. */
template <class Level>
int32_t find_present(const Level *x, const uint8_t *mask, ptrdiff_t n, LevelRange range,
                     Present &present) {
    const int32_t first = range.low >> 6, last = range.high >> 6;
    for (int32_t word = first; word <= last; ++word)
        present.bits[word] = 0;
    for (ptrdiff_t i = 0; i < n; ++i)
        present.bits[x[i] >> 6] |= uint64_t{!mask || mask[i]} << (x[i] & 63);
    int32_t n_present = 0;
    for (int32_t word = first; word <= last; ++word) {
        present.before[word] = n_present;
        n_present += Present::n_bits(present.bits[word]);
    }
    return n_present;
}

/* Set the rank of each pixel's level, which is first brought into the range. */
template <class Level, class Index>
void find_ranks(const Level *x, ptrdiff_t n, LevelRange range, const Present &present,
                Index *ranks) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        const int32_t level = least<int32_t>(greatest<int32_t>(x[i], range.low), range.high);
        ranks[i] = static_cast<Index>(present.rank_of(level));
    }
}

/* Lookup tables ------------------------------------------------------------------------------ */

/* A table and the output are of one type. */

/* table[level - low] of each pixel, its level clamped to the range. */
template <class Level, class Item>
void map_range_each(const Level *x, ptrdiff_t n, LevelRange range, const Item *table, Item *out) {
    const int32_t low = range.low, high = range.high;
    for (ptrdiff_t i = 0; i < n; ++i) {
        int32_t level = x[i];
        level = level > low ? level : low;
        level = level < high ? level : high;
        out[i] = table[level - low];
    }
}

template <class Level>
void map_range(const Level *x, ptrdiff_t n, LevelRange range, const void *table, Output out) {
    by_type(out, [=](auto *items) {
        using Item = std::remove_pointer_t<decltype(items)>;
        map_range_each(x, n, range, as<Item>(table), items);
    });
}

/* table[index] of each pixel. */
template <class Index, class Item>
void map_each(const Index *x, ptrdiff_t n, const Item *table, Item *out) {
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; ++j)
            out[i + j] = table[x[i + j]];
    for (; i < n; ++i)
        out[i] = table[x[i]];
}

/* table[x] of n bytes, eight at a time, since a store takes longer than a shift. */
inline void map_bytes_by_eight(const uint8_t *x, ptrdiff_t n, const uint8_t *table, uint8_t *out) {
    ptrdiff_t i = 0;
#ifdef HISTEQ_LITTLE_ENDIAN
    const auto at = [table](uint8_t level, int shift) { return uint64_t{table[level]} << shift; };
    for (; i + 8 <= n; i += 8) {
        const uint64_t low = at(x[i], 0) | at(x[i + 1], 8) | at(x[i + 2], 16) | at(x[i + 3], 24);
        const uint64_t high =
            at(x[i + 4], 32) | at(x[i + 5], 40) | at(x[i + 6], 48) | at(x[i + 7], 56);
        const uint64_t eight = low | high;
        std::memcpy(out + i, &eight, 8);
    }
#endif
    map_each(x + i, n - i, table, out + i);
}

#ifdef HISTEQ_AVX2
/* table[x] of n bytes: the four quarters of the table stay in registers. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) inline void
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
inline void stream_doubles(const uint8_t *x, ptrdiff_t n, const double *table, double *out) {
    ptrdiff_t i = 0;
    for (; i < n && (reinterpret_cast<uintptr_t>(out + i) & 31); ++i)
        out[i] = table[x[i]];
    for (; i + 4 <= n; i += 4)
        _mm256_stream_pd(out + i, _mm256_setr_pd(table[x[i]], table[x[i + 1]], table[x[i + 2]],
                                                 table[x[i + 3]]));
    for (; i < n; ++i)
        out[i] = table[x[i]];
    _mm_sfence();
}
#endif

#ifdef HISTEQ_NEON
/* table[x] of n bytes, n a multiple of 16: each quarter of the table fills in its own levels. */
inline void map_bytes_by_quarters(const uint8_t *x, ptrdiff_t n, const uint8_t *table,
                                  uint8_t *out) {
    const uint8x16x4_t t0 = vld1q_u8_x4(table), t1 = vld1q_u8_x4(table + 64);
    const uint8x16x4_t t2 = vld1q_u8_x4(table + 128), t3 = vld1q_u8_x4(table + 192);
    const uint8x16_t width = vdupq_n_u8(64);
    for (ptrdiff_t i = 0; i < n; i += 16) {
        const uint8x16_t v0 = vld1q_u8(x + i); /* the differences wrap: what was below is beyond */
        const uint8x16_t v1 = vsubq_u8(v0, width), v2 = vsubq_u8(v1, width);
        const uint8x16_t v3 = vsubq_u8(v2, width);
        uint8x16_t y = vqtbl4q_u8(t0, v0);
        y = vqtbx4q_u8(y, t1, v1); /* keeps y where v1 is beyond the quarter */
        y = vqtbx4q_u8(y, t2, v2);
        y = vqtbx4q_u8(y, t3, v3);
        vst1q_u8(out + i, y);
    }
}
#endif

/* table[x] of bytes. */
inline void map_bytes(const uint8_t *x, ptrdiff_t n, const uint8_t *table, uint8_t *out) {
    ptrdiff_t done = 0;
#ifdef HISTEQ_AVX2
    if (runs_on(AVX512_VBMI))
        return map_bytes_vbmi(x, n, table, out);
#elif defined(HISTEQ_NEON)
    done = n & ~ptrdiff_t{15};
    map_bytes_by_quarters(x, done, table, out);
#endif
    map_bytes_by_eight(x + done, n - done, table, out + done);
}

/* table[x] of each pixel. */
template <class Index> void map(const Index *x, ptrdiff_t n, const void *table, Output out) {
    by_type(out, [=](auto *items) {
        using Item = std::remove_pointer_t<decltype(items)>;
        if constexpr (sizeof(Index) == 1 && sizeof(Item) == 1)
            return map_bytes(x, n, as<Item>(table), items);
#ifdef HISTEQ_AVX2
        if constexpr (sizeof(Index) == 1 && std::is_same_v<Item, double>)
            if (n >= N_STREAMED)
                return stream_doubles(x, n, as<Item>(table), items);
#endif
        map_each(x, n, as<Item>(table), items);
    });
}

} // namespace histeq::HISTEQ_TARGET
