/* What is learned from planes and how it is applied: lattices of bins, order statistics,
 * interpolation between points at any distances.
 *
 * How the bits are kept: products with powers of two are exact, or so small that their floor is 0 or
 * -1; order statistics are copies; numpy.interp's arithmetic is kept in its order of operations, with
 * its exact values at the points.
 */

/* Add the counted pixels of each plane, all of which lie in its row's lattice, to counts (n_rows,
 * n_bins). */
template <class Real>
bool add_lattice_counts(const Real *x, const uint8_t *mask, Planes planes, ptrdiff_t n_rows,
                        Lattices lattices, int64_t *counts) {
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const ptrdiff_t row = p % n_rows;
        const int exponent = -lattices.exponents[row], half = exponent / 2;
        /* one factor alone may overflow */
        const double factor = std::ldexp(1.0, half), rest = std::ldexp(1.0, exponent - half);
        const Real *plane = x + p * planes.n_pixels;
        const uint8_t *counted = planes.mask_of(p, mask);
        int64_t *bins = counts + row * lattices.n_bins - lattices.starts[row];
        for (ptrdiff_t i = 0; i < planes.n_pixels; ++i) {
            if (!is_counted(plane, counted, i))
                continue;
            const double v = static_cast<double>(plane[i]) * factor * rest;
            const int64_t whole = static_cast<int64_t>(v);
            /* a negative value that has become -0.0 lies below zero, too */
            const bool is_below = v < static_cast<double>(whole) || (plane[i] < 0 && v == 0);
            ++bins[whole - is_below];
        }
    }
    return true;
}

/* Set the order statistics of levels with so many pixels each: the k-th of n_quantiles is the
 * smallest with at least a share of (k + 1/2) / n_quantiles at or below it. The arithmetic of shares
 * is that of numpy.quantile's method "inverted_cdf". */
template <class LevelOf>
void find_quantiles(const int32_t *counts, const LevelOf &level_of, double n_counted,
                    ptrdiff_t n_quantiles, double *quantiles) {
    ptrdiff_t k = 0;
    double below = counts[0];
    for (ptrdiff_t q = 0; q < n_quantiles; ++q) {
        const double share = (static_cast<double>(q) + 0.5) / static_cast<double>(n_quantiles);
        const double place = n_counted * share - 1.0; /* pixel number ceil(place) is wanted */
        while (below - 1.0 < place)
            below += counts[++k];
        quantiles[q] = level_of(k);
    }
}

/* Set the order statistics (n, n_quantiles) of planes of levels, and their status. */
template <class Level>
bool find_level_quantiles(const Level *x, const uint8_t *mask, Planes planes, ptrdiff_t n_quantiles,
                          uint8_t *status, double *quantiles) {
    const ptrdiff_t n = planes.n_pixels;
    Scratch scratch;
    int32_t *counts = scratch.array<int32_t>(n_counts(N_LEVELS<Level>));
    int32_t *ranks = scratch.array<int32_t>(N_LEVELS<Level>);
    int32_t *levels = scratch.array<int32_t>(N_LEVELS<Level>);
    Present *present = scratch.array<Present>(1);
    if (!scratch.is_complete)
        return false;
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const Level *plane = x + p * n;
        const uint8_t *counted = planes.mask_of(p, mask);
        const LevelRange range = find_range(plane, counted, n);
        status[p] = range.low > range.high ? IS_EMPTY : 0;
        double n_counted = static_cast<double>(n);
        if (counted && !status[p]) {
            n_counted = 0;
            for (ptrdiff_t i = 0; i < n; ++i)
                n_counted += counted[i] != 0;
        }
        if (status[p])
            continue;
        if constexpr (sizeof(Level) > 1)
            if (range.n_levels() > n) {
                rank_levels(plane, counted, n, *present, ranks, counts);
                for (ptrdiff_t i = 0; i < n; ++i)
                    if (!counted || counted[i])
                        levels[ranks[i]] = plane[i];
                find_quantiles(counts, [=](ptrdiff_t k) { return levels[k]; }, n_counted,
                               n_quantiles, quantiles + p * n_quantiles);
                continue;
            }
        count_levels(plane, counted, n, range, counts);
        find_quantiles(counts, [=](ptrdiff_t k) { return static_cast<double>(range.low + k); },
                       n_counted, n_quantiles, quantiles + p * n_quantiles);
    }
    return true;
}

/* Interpolation at any increasing points ----------------------------------------------------- */

/* Where to look for a number among points: their range is cut into equal parts. */
struct Guide {
    double low, scale;
    int32_t n_parts;
    int32_t *first; /* (n_parts + 2,), the last point in the parts before */

    int32_t part_of(double x) const { return static_cast<int32_t>((x - low) * scale); }
};

constexpr ptrdiff_t N_PARTS = 4; /* per point */

/* Make the guide of points; false where its estimates might overflow. */
inline bool make_guide(const Knots &knots, Guide &guide) {
    guide.low = knots.points[0];
    guide.n_parts = static_cast<int32_t>(N_PARTS * knots.n);
    guide.scale = guide.n_parts / (knots.points[knots.n - 1] - guide.low);
    if (!(guide.scale > 0 && guide.scale <= 0x1p1000))
        return false;
    ptrdiff_t k = 0;
    for (int32_t part = 0; part < guide.n_parts + 2; ++part) {
        while (k < knots.n && guide.part_of(knots.points[k]) < part)
            ++k;
        guide.first[part] = static_cast<int32_t>(k ? k - 1 : 0);
    }
    return true;
}

/* numpy.interp of one number within the points. */
inline double interpolate_within(double x, const Knots &knots, const Guide &guide) {
    const double *points = knots.points;
    const int32_t part = guide.part_of(x);
    ptrdiff_t k = guide.first[part], end = guide.first[part + 1] + 1;
    while (end - k > 4) { /* points[k] <= x < points[end] */
        const ptrdiff_t middle = (k + end) / 2;
        if (points[middle] <= x)
            k = middle;
        else
            end = middle;
    }
    while (points[k + 1] <= x)
        ++k;
    if (points[k] == x)
        return knots.values[k];
    return knots.slopes[k] * (x - points[k]) + knots.values[k];
}

/* numpy.interp of n pixels into out; NaN stays. REFER where that is not certain. */
template <class Real, class Out>
bool interpolate_at(const Real *x, ptrdiff_t n, Knots knots, Storage storage, int *status,
                    Out *out) {
    Scratch scratch;
    Guide guide;
    guide.first = scratch.array<int32_t>(N_PARTS * knots.n + 2);
    double *buffer = scratch.array<double>(N_BLOCK);
    if (!scratch.is_complete)
        return false;
    const double low = knots.points[0], high = knots.points[knots.n - 1];
    if (!make_guide(knots, guide)) {
        *status |= REFER;
        return true;
    }
    for (ptrdiff_t start = 0; start < n; start += N_BLOCK) {
        const ptrdiff_t size = least(N_BLOCK, n - start);
        for (ptrdiff_t i = 0; i < size; ++i) {
            const double v = x[start + i];
            if (v > low && v < high)
                buffer[i] = interpolate_within(v, knots, guide);
            else
                buffer[i] = v != v ? v : v <= low ? knots.values[0] : knots.values[knots.n - 1];
        }
        store(buffer, size, storage, out + start);
    }
    return true;
}
