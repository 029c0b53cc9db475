/* What is learned from planes and how it is applied: lattices of bins, steps between integers,
 * interpolation between points at any distances.
 *
 * How the bits are kept: products with powers of two are exact, or so small that their floor is 0
 * or -1; steps are copies; numpy.interp's arithmetic is kept in its order of operations, with its
 * exact values at the points.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* Add the counted pixels of plane p to row p % n_rows of counts (n_rows, n_bins), whose bin i is
 * [(start + i) * 2**exponent, (start + i + 1) * 2**exponent). */
template <class Real>
int add_lattice_counts(Planes<Real> planes, Mask mask, Array<const int64_t> starts,
                       Array<const int32_t> exponents, Array<int64_t> counts) {
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const ptrdiff_t row = p % counts.shape[0];
        const int exponent = -exponents[row], half = exponent / 2;
        /* one factor alone may overflow */
        const double factor = std::ldexp(1.0, half), rest = std::ldexp(1.0, exponent - half);
        const Real *plane = planes.row(p);
        const uint8_t *counted = mask_of(p, planes, mask);
        const int64_t start = starts[row];
        int64_t *bins = counts.row(row);
        for (ptrdiff_t i = 0; i < planes.shape[1]; ++i) {
            if (!is_counted(plane, counted, i))
                continue;
            const double v = static_cast<double>(plane[i]) * factor * rest;
            const int64_t whole = static_cast<int64_t>(v);
            /* a negative value that has become -0.0 lies below zero, too */
            const bool is_below = v < static_cast<double>(whole) || (plane[i] < 0 && v == 0);
            ++bins[whole - is_below - start];
        }
    }
    return DONE;
}

/* Set the least and the largest counted pixel; returns the status, IS_EMPTY where none counts. */
template <class Pixel>
int find_limits(const Pixel *x, const uint8_t *mask, ptrdiff_t n, double &low, double &high) {
    if constexpr (std::is_floating_point_v<Pixel>) {
        Pixel a, b;
        const int status = find_range(x, mask, n, a, b);
        low = a, high = b;
        return status;
    } else {
        const auto range = [=] {
            if constexpr (sizeof(Pixel) > 2)
                return find_wide_range(x, mask, n);
            else
                return find_range(x, mask, n);
        }();
        low = static_cast<double>(range.low), high = static_cast<double>(range.high);
        return range.low > range.high ? IS_EMPTY : 0;
    }
}

constexpr ptrdiff_t N_TESTED = 64; /* pixels between two looks at how many are left */

/* How many more of up to N_TESTED pixels lie outside of [low, high] than within. */
template <class Pixel, class Limit>
ptrdiff_t excess_outside(const Pixel *x, const uint8_t *mask, ptrdiff_t n, Limit low, Limit high) {
    /* a count as wide as the limits, so that vectors hold as many of them */
    using Narrow = std::conditional_t<sizeof(Limit) == 1, int8_t, int16_t>;
    using Wide = std::conditional_t<sizeof(Limit) == 4, int32_t, int64_t>;
    std::conditional_t<sizeof(Limit) < 4, Narrow, Wide> excess = 0;
    for (ptrdiff_t i = 0; i < n; ++i) { /* NaN is neither */
        const Limit v = static_cast<Limit>(x[i]);
        const auto is_out = (v < low) | (v > high), is_in = (v >= low) & (v <= high);
        excess = static_cast<decltype(excess)>(excess + (!mask || mask[i] ? is_out - is_in : 0));
    }
    return excess;
}

/* Whether at least half of the counted pixels lie outside of range[0..1]. */
template <class Pixel>
bool has_most_outside(const Pixel *x, const uint8_t *mask, ptrdiff_t n, const double *range) {
    constexpr bool is_wide = std::is_integral_v<Pixel> && sizeof(Pixel) > 2;
    using Limit = std::conditional_t<is_wide, double, Pixel>;
    Limit low = static_cast<Limit>(range[0]), high = static_cast<Limit>(range[1]);
    if constexpr (std::is_same_v<Limit, float>) { /* the nearest pixels within the range */
        low = low < range[0] ? std::nextafter(low, INFINITY) : low;
        high = high > range[1] ? std::nextafter(high, -INFINITY) : high;
    }
    ptrdiff_t excess = 0, left = n;
    for (ptrdiff_t i = 0; i < n && excess + left >= 0; i += N_TESTED) {
        const ptrdiff_t size = least(N_TESTED, n - i);
        excess += excess_outside(x + i, mask ? mask + i : nullptr, size, low, high);
        left -= size;
    }
    return excess >= 0;
}

/* Set the status of each plane, with IS_FAR where it leaves the range of its channel, of ranges
 * (n_channels, 2): by more than its width, or with at least half of its counted pixels. */
template <class Pixel>
int compare_ranges(Planes<Pixel> planes, Mask mask, Array<const double> ranges,
                   Array<uint8_t> status) {
    const ptrdiff_t n = planes.shape[1];
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Pixel *plane = planes.row(p);
        const uint8_t *counted = mask_of(p, planes, mask);
        const double *range = ranges.row(p % ranges.shape[0]), width = range[1] - range[0];
        double low, high;
        int found = find_limits(plane, counted, n, low, high);
        const bool leaves = low < range[0] || high > range[1];
        /* a single level is no scale */
        if (leaves && width > 0 && !(found & (HAS_INF | IS_EMPTY)) &&
            (range[0] - low > width || high - range[1] > width ||
             has_most_outside(plane, counted, n, range)))
            found |= IS_FAR;
        status[p] = static_cast<uint8_t>(found);
    }
    return DONE;
}

/* Steps between any increasing integers ------------------------------------------------------- */

constexpr int64_t N_BUCKETS = 1 << 16;

/* The index of the greatest point <= x, or 0. Points are sorted into buckets by the upper bits of
 * their distance from the first; first[b] points lie in the buckets before b. */
template <class Wide>
int32_t find_step(Wide x, const Wide *points, ptrdiff_t n_points, int shift,
                    const int32_t *first) {
    using Distance = std::make_unsigned_t<Wide>;
    const Wide kept = least(greatest(x, points[0]), points[n_points - 1]);
    const Distance low = static_cast<Distance>(points[0]);
    const Distance bucket = static_cast<Distance>(static_cast<Distance>(kept) - low) >> shift;
    ptrdiff_t k = first[bucket], n = first[bucket + 1] - k;
    while (n > 0) { /* points before k are no greater, those from k + n on are */
        const ptrdiff_t half = (n + 1) / 2;
        const bool is_above = points[k + half - 1] <= kept;
        k += is_above ? half : 0;
        n = is_above ? n - half : half - 1;
    }
    return static_cast<int32_t>(k - 1);
}

/* out = values[k], k being the index of the greatest of increasing points <= x, or 0. The search
 * and the values are one loop: so both wait for memory at the same time. */
template <class Wide>
int look_up_steps(Array<const Wide> x, Array<const Wide> points, Values values, Output out) {
    using Distance = std::make_unsigned_t<Wide>;
    const ptrdiff_t n_points = points.shape[0];
    Scratch scratch;
    int32_t *first = scratch.array<int32_t>(N_BUCKETS + 1);
    if (!scratch.is_complete)
        return NO_MEMORY;
    if (values.first.type != out.type)
        return NOT_WRITTEN;
    const Distance low = static_cast<Distance>(points[0]);
    const auto distance = [=](ptrdiff_t k) {
        return static_cast<Distance>(static_cast<Distance>(points[k]) - low);
    };
    int shift = 0;
    while (distance(n_points - 1) >> shift >= N_BUCKETS)
        ++shift;
    ptrdiff_t k = 0;
    for (int64_t bucket = 0; bucket <= N_BUCKETS; ++bucket) {
        while (k < n_points && static_cast<int64_t>(distance(k) >> shift) < bucket)
            ++k;
        first[bucket] = static_cast<int32_t>(k);
    }
    by_type(out, [=](auto *numbers) {
        const auto *table = as<std::remove_pointer_t<decltype(numbers)>>(values.row(0));
        for (ptrdiff_t i = 0; i < x.shape[0]; ++i)
            numbers[i] = table[find_step(x[i], points.start, n_points, shift, first)];
    });
    return DONE;
}

/* Interpolation at any increasing points ----------------------------------------------------- */

/* Increasing points, the values there, and the slopes behind them. */
struct Knots {
    const double *points, *values, *slopes;
    ptrdiff_t n;
};

/* Where to look for a number among points: their range is cut into equal parts. */
struct Guide {
    double low, high, scale;
    int32_t n_parts;
    int32_t n_steps; /* the most points of a part */
    int32_t *first;  /* (n_parts + 1,), the last point in the parts before */
};

constexpr ptrdiff_t N_PARTS = 16; /* per point */
constexpr ptrdiff_t N_STEPS = 4;  /* of more the middle one is tried first */

/* Make the guide of points, with room for N_PARTS parts per point; false where its estimates might
 * overflow. An estimate never falls as x grows: points of lower parts lie below x. */
inline bool make_guide(const Knots &knots, Guide &guide) {
    const double *points = knots.points;
    guide.low = points[0], guide.high = points[knots.n - 1];
    guide.n_parts = static_cast<int32_t>(N_PARTS * knots.n), guide.n_steps = 0;
    guide.scale = guide.n_parts / (guide.high - guide.low);
    if (!(guide.scale > 0 && guide.scale <= 0x1p1000))
        return false;
    int32_t k = 0;
    for (int32_t part = 0; part <= guide.n_parts; ++part) {
        const int32_t before = k;
        while (k < knots.n && (points[k] - guide.low) * guide.scale < part)
            ++k;
        guide.first[part] = k ? k - 1 : 0;
        guide.n_steps = greatest(guide.n_steps, k - before);
    }
    guide.n_steps = greatest<int32_t>(guide.n_steps, static_cast<int32_t>(knots.n) - k);
    return true;
}

/* Set the largest k with points[k] <= x, for x brought into the range of the points; NaN gets 0. */
template <class Real>
void locate_between(const Real *x, ptrdiff_t n, const Knots &knots, const Guide &guide,
                    int32_t *intervals) {
    const double *points = knots.points, low = guide.low, high = guide.high, scale = guide.scale;
    const int32_t last = static_cast<int32_t>(knots.n) - 1;
    for (ptrdiff_t i = 0; i < n; ++i) {
        double c = x[i] > low ? x[i] : low;
        c = c < high ? c : high;
        int32_t k = guide.first[static_cast<int32_t>((c - low) * scale)];
        if (guide.n_steps > N_STEPS) {
            for (int32_t step = last; step > 1; step = (step + 1) / 2)
                k += k + step <= last && points[k + step] <= c ? step : 0;
        }
        for (int32_t step = 0; step < N_STEPS && step < guide.n_steps; ++step)
            k += k < last && points[k + 1] <= c;
        intervals[i] = k;
    }
}

/* Make the grid of points that are equally spaced but for tol < 1/4, and of one more beyond; false
 * where they are not. */
template <class Real> bool make_even_grid(const Knots &knots, Grid<Real> &grid) {
    constexpr bool is_float = std::is_same_v<Real, float>;
    const double unit = is_float ? 0x1p-24 : 0x1p-53, margin = is_float ? 0x1p100 : 0x1p900;
    const double low = knots.points[0], high = knots.points[knots.n - 1];
    const double n_gaps = static_cast<double>(knots.n - 1), spacing = (high - low) / n_gaps;
    const double largest = greatest(std::fabs(low), std::fabs(high));
    if (!(spacing * margin >= 1 && largest <= margin))
        return false;
    double tol = 0;
    for (ptrdiff_t k = 0; k < knots.n; ++k) {
        grid.thresholds[k] = static_cast<Real>(knots.points[k]);
        if (grid.thresholds[k] != knots.points[k])
            return false;
        tol = greatest(tol, std::fabs((knots.points[k] - low) / spacing - static_cast<double>(k)));
    }
    tol += 2 * unit * (16 * n_gaps + 4 * largest / spacing);
    if (!(tol < 0.25))
        return false;
    grid.low = static_cast<Real>(low), grid.tol = static_cast<Real>(tol);
    grid.scale = static_cast<Real>(1 / spacing), grid.last = static_cast<int32_t>(knots.n);
    grid.high = grid.thresholds[knots.n] = static_cast<Real>(high + spacing);
    return true;
}

/* numpy.interp(x, points, values) into out; lines (3, n_points) are increasing points, values and
 * the slopes behind each point. NaN stays. Tells REFER, and writes nothing, where that is not
 * certain. */
template <class Real>
int interpolate_at(Array<const Real> x, Array<const double> lines, bool is_float32,
                   double output_max, Output out) {
    const Knots knots{lines.row(0), lines.row(1), lines.row(2), lines.shape[1]};
    Scratch scratch;
    Guide guide{};
    Grid<Real> grid;
    guide.first = scratch.array<int32_t>(N_PARTS * knots.n + 1);
    grid.thresholds = scratch.array<Real>(knots.n + 1);
    Segment *segments = scratch.array<Segment>(knots.n + 2);
    int32_t *intervals = scratch.array<int32_t>(N_BLOCK);
    double *buffer = scratch.array<double>(N_BLOCK);
    if (!scratch.is_complete)
        return NO_MEMORY;
    grid.low = static_cast<Real>(knots.points[0]), grid.halves = 0;
    const bool is_even = make_even_grid(knots, grid);
    if (!is_even && (!make_guide(knots, guide) || grid.low != knots.points[0]))
        return REFER;
    segments[0] = {knots.points[0], 0, knots.values[0], 0};
    for (ptrdiff_t k = 0; k < knots.n; ++k)
        segments[k + 1] = {knots.points[k], knots.slopes[k], knots.values[k], 0};
    segments[knots.n + 1] = segments[knots.n];
    for (ptrdiff_t start = 0; start < x.shape[0]; start += N_BLOCK) {
        const ptrdiff_t size = least(N_BLOCK, x.shape[0] - start);
        if (is_even)
            locate(x.start + start, size, grid, intervals);
        else
            locate_between(x.start + start, size, knots, guide, intervals);
        interpolate(x.start + start, intervals, size, grid, segments, {is_float32, output_max},
                    buffer, out.from(start));
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
