/* Reals in bins of equal width: which bin holds a pixel, counts, straight pieces between points.
 *
 * How the bits are kept: a grid is a row of increasing thresholds t[0..last], equally spaced but
 * for rounding: NumPy's edges, computed as numpy.linspace does in the pixels' type, or edges and
 * centers in turn. The interval of a pixel x is the largest j with t[j] <= x. It is found exactly:
 * u = (x - t[0]) * scale estimates it within tol < 1/4, so only a pixel whose u lies closer than
 * tol to a whole number r needs a compare with t[r]. Where tol cannot be promised, `make_grid` says
 * so, and the plane is left to the caller. numpy.interp's arithmetic, slope * (x - x0) + y0 in
 * double precision, is kept in this order, and no multiply-add is contracted.
 */
#pragma once

#include "levels.h"
#include "output.h"
#include "types.h"

namespace histeq::HISTEQ_TARGET {

template <class Real> struct Grid {
    Real low, high, scale, tol;
    int32_t last; /* index of the last threshold */
    int halves;   /* 1: edges and centers in turn; 0: edges alone */
    Real *thresholds;
};

constexpr ptrdiff_t N_INTERVALS = 32; /* pixels whose intervals are found together */
constexpr ptrdiff_t N_MASKED = 256;   /* pixels that are copied to apply a mask */

#ifdef HISTEQ_AVX2
/* One name for the instructions of both types. */
template <class Real> struct Vector;

#define HISTEQ_VECTOR(REAL, TYPE, SUFFIX, N)                                                       \
    template <> struct Vector<REAL> {                                                              \
        using type = TYPE;                                                                         \
        static constexpr int lanes = N;                                                            \
        static type all(REAL x) { return _mm256_set1_##SUFFIX(x); }                                \
        static type load(const REAL *p) { return _mm256_loadu_##SUFFIX(p); }                       \
        static void save(REAL *p, type v) { _mm256_storeu_##SUFFIX(p, v); }                        \
        static type sub(type a, type b) { return _mm256_sub_##SUFFIX(a, b); }                      \
        static type mul(type a, type b) { return _mm256_mul_##SUFFIX(a, b); }                      \
        static type min(type a, type b) { return _mm256_min_##SUFFIX(a, b); }                      \
        static type max(type a, type b) { return _mm256_max_##SUFFIX(a, b); }                      \
        static type both(type a, type b) { return _mm256_and_##SUFFIX(a, b); }                     \
        static type any(type a, type b) { return _mm256_or_##SUFFIX(a, b); }                       \
        static type without(type a, type b) { return _mm256_andnot_##SUFFIX(a, b); }               \
        static type rounded(type v) {                                                              \
            return _mm256_round_##SUFFIX(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);        \
        }                                                                                          \
        static type differ(type a, type b) { return _mm256_cmp_##SUFFIX(a, b, _CMP_NEQ_OQ); }      \
        static type below(type a, type b) { return _mm256_cmp_##SUFFIX(a, b, _CMP_LT_OQ); }        \
        static type is_nan(type a, type b) { return _mm256_cmp_##SUFFIX(a, b, _CMP_UNORD_Q); }     \
        static int mask(type v) { return _mm256_movemask_##SUFFIX(v); }                            \
    };
HISTEQ_VECTOR(float, __m256, ps, 8)
HISTEQ_VECTOR(double, __m256d, pd, 4)
#undef HISTEQ_VECTOR

inline void save_truncated(int32_t *p, __m256 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), _mm256_cvttps_epi32(v));
}
inline void save_truncated(int32_t *p, __m256d v) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm256_cvttpd_epi32(v));
}
inline __m256d load_doubles(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
inline __m256d load_doubles(const double *p) { return _mm256_loadu_pd(p); }
#endif

/* Where pixels lie --------------------------------------------------------------------------- */

/* Set the thresholds of n_bins bins over [low, high]: numpy.linspace's edges, with halves the
 * centers too; `thresholds` has room for them. False where they might coincide, overflow or be
 * missed by the estimate. */
template <class Real>
bool make_grid(Real low, Real high, ptrdiff_t n_bins, bool halves, Grid<Real> &grid) {
    constexpr bool is_float = std::is_same_v<Real, float>;
    const Real unit = static_cast<Real>(is_float ? 0x1p-24 : 0x1p-53);
    const Real margin = static_cast<Real>(is_float ? 0x1p100 : 0x1p900);
    const Real delta = high - low, step = delta / static_cast<Real>(n_bins);
    const Real largest = greatest(std::fabs(low), std::fabs(high));
    const Real scale = static_cast<Real>(n_bins << halves) / delta;
    if (!(step * margin >= 1 && largest <= margin))
        return false;
    /* rounding errors, in intervals: of the estimate 6 n, of the thresholds 6 n + 2 largest *
     * scale, units of rounding each */
    const double tol = unit * (16 * static_cast<double>(n_bins) +
                               3 * static_cast<double>(largest) * static_cast<double>(scale));
    if (!(tol < 0.25))
        return false;
    grid.low = low, grid.high = high, grid.scale = scale, grid.tol = static_cast<Real>(tol);
    grid.halves = halves, grid.last = static_cast<int32_t>(n_bins << halves);
    Real *t = grid.thresholds, edge = low;
    for (ptrdiff_t k = 0; k < n_bins; ++k) {
        const Real next = k + 1 == n_bins ? high : static_cast<Real>(k + 1) * step + low;
        t[k << grid.halves] = edge;
        if (halves)
            t[2 * k + 1] = (edge + next) / 2;
        edge = next;
    }
    t[grid.last] = high;
    return true;
}

/* What the bins of plane p span, of ranges (..., 2); nullptr where none are given. */
inline const double *range_of(const Array<const double> &ranges, ptrdiff_t p) {
    return ranges.start ? ranges.start + 2 * p : nullptr;
}

/* Take what the bins of a plane span from given[0..1], unless there is none or it is NaN, which
 * leaves the own range; returns whether it was taken. */
template <class Real> bool take_range(const double *given, Real &low, Real &high) {
    if (!given || given[0] != given[0])
        return false;
    low = static_cast<Real>(given[0]), high = static_cast<Real>(given[1]);
    return true;
}

/* The intervals of n pixels, clamped to the grid; NaN is put into the first. */
template <class Real>
void locate_exactly(const Real *x, ptrdiff_t n, const Grid<Real> &grid, int32_t *intervals) {
    const Real low = grid.low, high = grid.high, scale = grid.scale, *t = grid.thresholds;
    for (ptrdiff_t i = 0; i < n; ++i) {
        Real c = x[i] > low ? x[i] : low;
        c = c < high ? c : high;
        const int32_t nearest = static_cast<int32_t>((c - low) * scale + static_cast<Real>(0.5));
        intervals[i] = nearest - (c < t[nearest]);
    }
}

/* The same, by the estimate alone where no pixel of a few is near a threshold. */
template <class Real>
void locate(const Real *x, ptrdiff_t n, const Grid<Real> &grid, int32_t *intervals) {
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    using V = Vector<Real>;
    const auto low = V::all(grid.low), high = V::all(grid.high), scale = V::all(grid.scale);
    const auto tol = V::all(grid.tol), sign = V::all(static_cast<Real>(-0.0));
    const auto first = V::all(0), last = V::all(static_cast<Real>(grid.last));
    for (; i + N_INTERVALS <= n; i += N_INTERVALS) {
        auto near = V::all(0);
        for (int j = 0; j < N_INTERVALS; j += V::lanes) {
            const auto c = V::min(V::max(V::load(x + i + j), low), high);
            const auto u = V::mul(V::sub(c, low), scale);
            const auto nearest = V::rounded(u);
            const auto distance = V::without(sign, V::sub(u, nearest));
            /* the outer thresholds bound all that is clamped: no compare is needed there */
            const auto inner = V::both(V::differ(nearest, first), V::differ(nearest, last));
            near = V::any(near, V::both(inner, V::below(distance, tol)));
            save_truncated(intervals + i + j, u);
        }
        if (V::mask(near))
            locate_exactly(x + i, N_INTERVALS, grid, intervals + i);
    }
#endif
    locate_exactly(x + i, n - i, grid, intervals + i);
}

/* Extend [low, high] by all pixels but NaN; returns whether there is a NaN. */
template <class Real> bool extend_range(const Real *x, ptrdiff_t n, Real &low, Real &high) {
    Real a = low, b = high;
    bool missing = false;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    using V = Vector<Real>;
    if (n >= 4 * V::lanes) {
        auto a0 = V::all(a), a1 = a0, a2 = a0, a3 = a0, b0 = V::all(b), b1 = b0, b2 = b0, b3 = b0;
        auto nan = V::all(0);
        Real lanes[V::lanes];
        for (; i + 4 * V::lanes <= n; i += 4 * V::lanes) {
            const auto x0 = V::load(x + i), x1 = V::load(x + i + V::lanes);
            const auto x2 = V::load(x + i + 2 * V::lanes), x3 = V::load(x + i + 3 * V::lanes);
            /* min(x, a) is a where x is NaN; the order of the arguments matters */
            a0 = V::min(x0, a0), a1 = V::min(x1, a1), a2 = V::min(x2, a2), a3 = V::min(x3, a3);
            b0 = V::max(x0, b0), b1 = V::max(x1, b1), b2 = V::max(x2, b2), b3 = V::max(x3, b3);
            nan = V::any(nan, V::any(V::is_nan(x0, x1), V::is_nan(x2, x3)));
        }
        V::save(lanes, V::min(V::min(a0, a1), V::min(a2, a3)));
        for (Real lane : lanes)
            a = lane < a ? lane : a;
        V::save(lanes, V::max(V::max(b0, b1), V::max(b2, b3)));
        for (Real lane : lanes)
            b = lane > b ? lane : b;
        missing = V::mask(nan) != 0;
    }
#endif
    for (; i < n; ++i) {
        a = x[i] < a ? x[i] : a;
        b = x[i] > b ? x[i] : b;
        missing |= x[i] != x[i];
    }
    low = a, high = b;
    return missing;
}

/* Set the range of the counted pixels; returns the status, IS_EMPTY where none is counted. */
template <class Real>
int find_range(const Real *x, const uint8_t *mask, ptrdiff_t n, Real &low, Real &high) {
    constexpr Real INF = std::numeric_limits<Real>::infinity();
    low = INF, high = -INF;
    int status = extend_range(x, n, low, high) ? HAS_NAN : 0;
    if (low > high)
        return status | IS_EMPTY;
    if (low == -INF || high == INF)
        status |= HAS_INF;
    if (mask) {
        Real counted[N_MASKED];
        low = INF, high = -INF;
        for (ptrdiff_t start = 0; start < n; start += N_MASKED) {
            const ptrdiff_t size = least(N_MASKED, n - start);
            for (ptrdiff_t i = 0; i < size; ++i)
                counted[i] =
                    mask[start + i] ? x[start + i] : std::numeric_limits<Real>::quiet_NaN();
            extend_range(counted, size, low, high);
        }
        if (low > high)
            status |= IS_EMPTY;
    }
    return status;
}

/* Whether a pixel counts: where the mask (or nullptr) is true, and it is no NaN. */
template <class Pixel> bool is_counted(const Pixel *x, const uint8_t *mask, ptrdiff_t i) {
    return x[i] == x[i] && (!mask || mask[i]);
}

/* Counts ------------------------------------------------------------------------------------- */

/* Add pixels by their interval to four tables, stride apart (0: one table). */
inline void count_intervals(const int32_t *intervals, ptrdiff_t n, int32_t *counts,
                            ptrdiff_t stride) {
    int32_t *c0 = counts, *c1 = c0 + stride, *c2 = c1 + stride, *c3 = c2 + stride;
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4)
        ++c0[intervals[i]], ++c1[intervals[i + 1]], ++c2[intervals[i + 2]], ++c3[intervals[i + 3]];
    for (; i < n; ++i)
        ++c0[intervals[i]];
}

/* The same for pixels that may not count: these go to a place beyond the counts. */
template <class Real>
void count_weighted(const Real *x, const uint8_t *mask, const int32_t *intervals, ptrdiff_t n,
                    int32_t *counts, ptrdiff_t stride) {
    const int32_t beyond = static_cast<int32_t>(stride) - 1;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const int32_t in = -static_cast<int32_t>(is_counted(x, mask, i)); /* all ones, or none */
        ++counts[(i & 3) * stride + ((intervals[i] & in) | (beyond & ~in))];
    }
}

/* Set the counts of the intervals of a plane, with room for `n_counts`; `is_weighted`: not all
 * pixels count. `intervals`, of n_kept numbers, keeps those of a plane that is no larger. */
template <class Real>
void count_reals(const Real *x, const uint8_t *mask, bool is_weighted, ptrdiff_t n,
                 const Grid<Real> &grid, int32_t *intervals, ptrdiff_t n_kept, int32_t *counts) {
    const ptrdiff_t length = grid.last + 1, block = n <= n_kept ? n : N_BLOCK;
    const bool is_fourfold = length <= N_FOURFOLD && (n >= 4 * length || is_weighted);
    const ptrdiff_t stride = is_fourfold ? length + 1 : 0;
    std::memset(counts, 0, static_cast<size_t>(3 * stride + length + 1) * sizeof(int32_t));
    for (ptrdiff_t start = 0; start < n; start += block) {
        const ptrdiff_t size = least(block, n - start);
        locate(x + start, size, grid, intervals);
        if (!is_weighted)
            count_intervals(intervals, size, counts, stride);
        else if (is_fourfold)
            count_weighted(x + start, mask ? mask + start : nullptr, intervals, size, counts,
                           stride);
        else
            for (ptrdiff_t i = 0; i < size; ++i)
                counts[intervals[i]] += is_counted(x + start, mask ? mask + start : nullptr, i);
    }
    if (is_fourfold)
        add_fourfold(counts, length, stride);
}

/* Add the counts of half-bins up to those of bins; the last bin holds its right edge too. */
template <class Real> void join_bins(const Grid<Real> &grid, int32_t *counts) {
    const ptrdiff_t n_bins = grid.last >> grid.halves;
    if (grid.halves)
        for (ptrdiff_t k = 0; k < n_bins; ++k)
            counts[k] = counts[2 * k] + counts[2 * k + 1];
    counts[n_bins - 1] += counts[grid.last];
}

/* Transfer functions ------------------------------------------------------------------------- */

/* One straight piece of a transfer function: slope * (x - x0) + y0. */
struct Segment {
    double x0, slope, y0, unused; /* 32 bytes: one load */
};

/* Set numpy.interp's n_bins + 2 pieces between the points of a grid, its centers or its left edges:
 * piece k ends at point k. Bins without a count in `counts`, if given, are left out. False where a
 * value or slope is not finite. */
template <class Real>
bool join_segments(const Grid<Real> &grid, const double *values, const int64_t *counts,
                   Segment *segments) {
    const ptrdiff_t n_bins = grid.last >> grid.halves;
    const Real *points = grid.thresholds + grid.halves;
    double sum = 0; /* of all that has to be finite */
    ptrdiff_t before = -1;
    for (ptrdiff_t k = 0; k < n_bins; ++k) {
        if (counts && !counts[k])
            continue;
        const double x = points[k << grid.halves], y = values[k];
        Segment segment{x, 0, y, 0};
        if (before >= 0) {
            const double x0 = points[before << grid.halves], y0 = values[before];
            segment = {x0, (y - y0) / (x - x0), y0, 0};
        }
        sum += (segment.slope - segment.slope) + (y - y);
        for (ptrdiff_t j = before + 1; j <= k; ++j)
            segments[j] = segment;
        before = k;
    }
    const ptrdiff_t last = greatest<ptrdiff_t>(before, 0); /* of a plane without counted pixels any */
    const Segment beyond{static_cast<double>(points[last << grid.halves]), 0, values[last], 0};
    for (ptrdiff_t j = before + 1; j <= n_bins + 1; ++j)
        segments[j] = beyond;
    return sum == 0;
}

/* Values slope * (x - x0) + y0 of n pixels; below low the value at low, NaN stays. The segment of
 * interval j is (j + 1) >> halves. */
template <class Real>
void interpolate_doubles(const Real *x, const int32_t *intervals, ptrdiff_t n,
                         const Grid<Real> &grid, const Segment *segments, double *out) {
    const Real low = grid.low;
    const int halves = grid.halves;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256d bound = _mm256_set1_pd(static_cast<double>(low));
    for (; i + 4 <= n; i += 4) {
        /* rows (x0, slope, y0, unused) to columns */
        __m256d row[4];
        for (int j = 0; j < 4; ++j)
            row[j] = _mm256_loadu_pd(&segments[(intervals[i + j] + 1) >> halves].x0);
        const __m256d even01 = _mm256_unpacklo_pd(row[0], row[1]);
        const __m256d even23 = _mm256_unpacklo_pd(row[2], row[3]);
        const __m256d odd01 = _mm256_unpackhi_pd(row[0], row[1]);
        const __m256d odd23 = _mm256_unpackhi_pd(row[2], row[3]);
        const __m256d x0 = _mm256_permute2f128_pd(even01, even23, 0x20);
        const __m256d y0 = _mm256_permute2f128_pd(even01, even23, 0x31);
        const __m256d slope = _mm256_permute2f128_pd(odd01, odd23, 0x20);
        /* NaN stays: it is the second argument */
        const __m256d v = _mm256_max_pd(bound, load_doubles(x + i));
        _mm256_storeu_pd(out + i, _mm256_add_pd(_mm256_mul_pd(slope, _mm256_sub_pd(v, x0)), y0));
    }
#endif
    for (; i < n; ++i) {
        const Segment &s = segments[(intervals[i] + 1) >> halves];
        const double v = x[i] < low ? static_cast<double>(low) : static_cast<double>(x[i]);
        out[i] = s.slope * (v - s.x0) + s.y0;
    }
}

/* The same into any output type, N_BLOCK pixels at a time, which `buffer` holds. */
template <class Real>
void interpolate(const Real *x, const int32_t *intervals, ptrdiff_t n, const Grid<Real> &grid,
                 const Segment *segments, Storage storage, double *buffer, Output out) {
    if (double *doubles = doubles_of(out, storage))
        return interpolate_doubles(x, intervals, n, grid, segments, doubles);
    for (ptrdiff_t start = 0; start < n; start += N_BLOCK) {
        const ptrdiff_t size = least(N_BLOCK, n - start);
        interpolate_doubles(x + start, intervals + start, size, grid, segments, buffer);
        store(buffer, size, storage, out.from(start));
    }
}

/* Map any number of pixels by segments, finding their intervals anew. */
template <class Real>
void interpolate_anew(const Real *x, ptrdiff_t n, const Grid<Real> &grid, const Segment *segments,
                      Storage storage, int32_t *intervals, double *buffer, Output out) {
    for (ptrdiff_t start = 0; start < n; start += N_BLOCK) {
        const ptrdiff_t size = least(N_BLOCK, n - start);
        locate(x + start, size, grid, intervals);
        interpolate(x + start, intervals, size, grid, segments, storage, buffer,
                    out.from(start));
    }
}

} // namespace histeq::HISTEQ_TARGET
