/* Ranks: the number of each pixel's value among the distinct values of a plane, and their counts.
 *
 * How the bits are kept: values are compared as integers that sort as they do (zeros of both signs
 * are equal), so that ranks and counts are exact. Pixels that do not count take the rank of the
 * greatest counted value that is no greater, or of the least; NaN takes the rank after the last.
 */
#pragma once

#include "levels.h"
#include "types.h"

namespace histeq::HISTEQ_TARGET {

/* Room to sort the pixels of a plane: (n_pixels,) numbers each. */
struct Order {
    uint64_t *keys, *other;

    Order(Scratch &scratch, ptrdiff_t n)
        : keys(scratch.array<uint64_t>(n)), other(scratch.array<uint64_t>(n)) {}
};

constexpr int DIGIT_BITS = 11; /* keys of 32 bits have digits of 11, 11 and 10 */
constexpr ptrdiff_t N_DIGITS = 1 << DIGIT_BITS;
constexpr ptrdiff_t N_INSERTED = 16; /* runs up to this length are sorted by insertion */

/* An integer that sorts as the number does, of as many bits. */
template <class Pixel> uint64_t ordered(Pixel x) {
    constexpr bool is_wide = sizeof(Pixel) == 8;
    using Bits = std::conditional_t<is_wide, uint64_t, uint32_t>;
    constexpr Bits sign = Bits{1} << (8 * sizeof(Pixel) - 1);
    if constexpr (std::is_floating_point_v<Pixel>) {
        Bits bits;
        const Pixel number = x + static_cast<Pixel>(0); /* no negative zero */
        std::memcpy(&bits, &number, sizeof bits);
        return bits & sign ? static_cast<Bits>(~bits) : bits | sign;
    } else {
        return static_cast<Bits>(x) ^ (std::is_signed_v<Pixel> ? sign : 0);
    }
}

/* Sort stably by a digit whose counts are given. */
inline void sort_by_digit(const uint64_t *keys, ptrdiff_t n, int shift, uint32_t *counts,
                          uint64_t *out) {
    uint32_t start = 0;
    for (ptrdiff_t digit = 0; digit < N_DIGITS; ++digit) {
        const uint32_t count = counts[digit];
        counts[digit] = start;
        start += count;
    }
    for (ptrdiff_t i = 0; i < n; ++i)
        out[counts[keys[i] >> shift & (N_DIGITS - 1)]++] = keys[i];
}

/* Sort keys by their upper 32 bits, stably. */
inline void sort_by_upper(uint64_t *keys, ptrdiff_t n, uint64_t *other) {
    uint32_t counts[3][N_DIGITS];
    std::memset(counts, 0, sizeof counts);
    for (ptrdiff_t i = 0; i < n; ++i) {
        ++counts[0][keys[i] >> 32 & (N_DIGITS - 1)];
        ++counts[1][keys[i] >> 43 & (N_DIGITS - 1)];
        ++counts[2][keys[i] >> 54];
    }
    uint64_t *source = keys, *result = other;
    for (int digit = 0; digit < 3; ++digit) {
        const int shift = 32 + DIGIT_BITS * digit;
        if (counts[digit][keys[0] >> shift & (N_DIGITS - 1)] == static_cast<uint32_t>(n))
            continue; /* all have the same digit */
        sort_by_digit(source, n, shift, counts[digit], result);
        uint64_t *const sorted = result;
        result = source;
        source = sorted;
    }
    if (source != keys)
        std::memcpy(keys, source, static_cast<size_t>(n) * sizeof(uint64_t));
}

/* Sort a run of equal upper halves by the lower halves of the pixels' values, which take their
 * place. */
template <class Pixel>
void sort_run(const Pixel *x, uint64_t *run, ptrdiff_t n, uint64_t *other) {
    bool is_equal = true;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const uint64_t pixel = run[i] & 0xffffffff;
        run[i] = ordered(x[pixel]) << 32 | pixel;
        is_equal &= run[i] >> 32 == run[0] >> 32;
    }
    if (is_equal)
        return;
    if (n > N_INSERTED)
        return sort_by_upper(run, n, other);
    for (ptrdiff_t i = 1; i < n; ++i) {
        const uint64_t key = run[i];
        ptrdiff_t k = i;
        for (; k > 0 && run[k - 1] > key; --k)
            run[k] = run[k - 1];
        run[k] = key;
    }
}

/* The end of the run of equal upper halves that begins at start. */
inline ptrdiff_t end_of_run(const uint64_t *keys, ptrdiff_t start, ptrdiff_t n) {
    ptrdiff_t stop = start + 1;
    while (stop < n && keys[stop] >> 32 == keys[start] >> 32)
        ++stop;
    return stop;
}

/* Set the ranks of n sorted pixels, all of which count, and the counts; returns how many values. */
template <class Pixel>
int32_t rank_sorted(const Pixel *x, const uint64_t *keys, ptrdiff_t n, int32_t *ranks,
                    int32_t *counts) {
    int32_t rank = 0, count = 0;
    Pixel value = x[keys[0] & 0xffffffff];
    for (ptrdiff_t i = 0; i < n; ++i) {
        const uint64_t pixel = keys[i] & 0xffffffff;
        if (x[pixel] != value) {
            counts[rank++] = count;
            value = x[pixel], count = 0;
        }
        ranks[pixel] = rank;
        ++count;
    }
    counts[rank] = count;
    return rank + 1;
}

/* The same where not all pixels count. */
template <class Pixel>
int32_t rank_masked(const Pixel *x, const uint8_t *mask, const uint64_t *keys, ptrdiff_t n,
                    int32_t *ranks, int32_t *counts) {
    int32_t rank = -1;
    for (ptrdiff_t start = 0, stop; start < n; start = stop) {
        const Pixel value = x[keys[start] & 0xffffffff];
        int32_t count = 0;
        for (stop = start; stop < n && x[keys[stop] & 0xffffffff] == value; ++stop)
            count += mask[keys[stop] & 0xffffffff] != 0;
        if (count)
            counts[++rank] = count;
        for (ptrdiff_t i = start; i < stop; ++i)
            ranks[keys[i] & 0xffffffff] = rank < 0 ? 0 : rank;
    }
    return rank + 1;
}

/* Set keys whose lower halves are the numbers of pixels in the order of these: of all but NaN, where
 * the mask (or nullptr) is true; returns how many there are. */
template <class Pixel>
ptrdiff_t sort_pixels(const Pixel *x, const uint8_t *mask, ptrdiff_t n, const Order &order) {
    constexpr bool is_wide = sizeof(Pixel) == 8;
    uint64_t *const keys = order.keys;
    ptrdiff_t n_sorted = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
        keys[n_sorted] = ordered(x[i]) >> (is_wide ? 32 : 0) << 32 | static_cast<uint64_t>(i);
        n_sorted += x[i] == x[i] && (!mask || mask[i]);
    }
    if (n_sorted)
        sort_by_upper(keys, n_sorted, order.other);
    for (ptrdiff_t start = 0, stop; is_wide && start < n_sorted; start = stop) {
        stop = end_of_run(keys, start, n_sorted);
        if (stop > start + 1)
            sort_run(x, keys + start, stop - start, order.other);
    }
    return n_sorted;
}

/* Set the rank of each pixel and the counts of the distinct values, by sorting; returns how many
 * there are. */
template <class Pixel>
int32_t rank_pixels(const Pixel *x, const uint8_t *mask, ptrdiff_t n, const Order &order,
                    int32_t *ranks, int32_t *counts) {
    const ptrdiff_t n_sorted = sort_pixels(x, nullptr, n, order);
    const uint64_t *keys = order.keys;
    int32_t n_distinct = 0;
    if (n_sorted)
        n_distinct = mask ? rank_masked(x, mask, keys, n_sorted, ranks, counts)
                          : rank_sorted(x, keys, n_sorted, ranks, counts);
    if (n_sorted < n)
        for (ptrdiff_t i = 0; i < n; ++i)
            ranks[i] = x[i] == x[i] ? ranks[i] : n_distinct;
    return n_distinct;
}

/* The same for levels of two bytes, by a bitmap of those present. */
inline int32_t rank_levels(const uint16_t *x, const uint8_t *mask, ptrdiff_t n, Present &present,
                           int32_t *ranks, int32_t *counts) {
    const LevelRange range = find_range(x, mask, n);
    if (range.low > range.high) {
        std::memset(ranks, 0, static_cast<size_t>(n) * sizeof(int32_t));
        return 0;
    }
    const int32_t n_present = find_present(x, mask, n, range, present);
    find_ranks(x, n, range, present, ranks);
    std::memset(counts, 0, static_cast<size_t>(n_present) * sizeof(int32_t));
    for (ptrdiff_t i = 0; i < n; ++i)
        counts[ranks[i]] += !mask || mask[i];
    return n_present;
}

} // namespace histeq::HISTEQ_TARGET
