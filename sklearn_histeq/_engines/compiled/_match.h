/* Histogram matching: each plane gets a target's distribution.
 *
 * How the bits are kept: the CDF is a quotient of whole numbers; numpy.interp's arithmetic over the
 * target's shares, slope * (q - x0) + y0 in double precision, is kept, with its exact values at the
 * points. A value is computed once per distinct intensity.
 */

/* numpy.interp of a share at least as large as that of the call before, which has left j. */
inline double value_at(const Target &target, double share, ptrdiff_t &j) {
    while (j + 1 < target.n && target.shares[j + 1] <= share)
        ++j;
    const double distance = share - target.shares[j];
    if (j + 1 == target.n || distance <= 0) /* beyond the ends, or at a point */
        return target.values[j];
    return target.slopes[j] * distance + target.values[j];
}

/* A value as the output type: cast, or rounded and kept in range; NaN becomes 0. */
template <class Out> Out saturated(double value, bool is_float32) {
    value = is_float32 ? static_cast<float>(value) : value;
    if constexpr (std::is_floating_point_v<Out>) {
        return static_cast<Out>(value);
    } else {
        value = value > 0 ? value : 0.0;
        return static_cast<Out>(round_half_even(value < LARGEST<Out> ? value : LARGEST<Out>));
    }
}

/* Arrays that every plane of a call uses anew; those of levels, or those of reals. */
struct MatchArrays {
    int32_t *counts, *ranks;
    double *table; /* of the output type */
    Present *present;
    Order order;

    MatchArrays(Scratch &scratch, ptrdiff_t n, ptrdiff_t n_levels)
        : counts(scratch.array<int32_t>(greatest(n_counts(n_levels), n))),
          ranks(scratch.array<int32_t>(n_levels == 256 ? 0 : n)),
          table(scratch.array<double>(greatest(n_levels, n) + 1)),
          present(scratch.array<Present>(n_levels > 256)),
          order(scratch, n_levels ? 0 : n) {}
};

/* Set the values of n distinct intensities with so many pixels each; without any (between levels
 * that are counted) the value of the one below. False where no pixel is counted. */
template <class Out>
bool match_table(const int32_t *counts, ptrdiff_t n, const Target &target, bool is_float32,
                 Out *table) {
    double n_counted = 0, cumulative = target.n_below;
    ptrdiff_t j = 0, first = 0;
    for (ptrdiff_t k = 0; k < n; ++k)
        n_counted += counts[k];
    if (n_counted == 0)
        return false;
    n_counted = target.n_counted > 0 ? target.n_counted : n_counted;
    while (!counts[first])
        ++first;
    for (ptrdiff_t k = first; k < n; ++k) {
        cumulative += counts[k];
        table[k] = counts[k] ? saturated<Out>(value_at(target, cumulative / n_counted, j), is_float32)
                             : table[k - 1];
    }
    for (ptrdiff_t k = 0; k < first; ++k)
        table[k] = table[first];
    return true;
}

/* Match one plane of levels; returns its status. */
template <class Level, class Out>
int match_plane(const Level *x, const uint8_t *mask, ptrdiff_t n, const Target &target,
                const MatchArrays &arrays, Out *out) {
    Out *table = reinterpret_cast<Out *>(arrays.table);
    const LevelRange range = find_range(x, mask, n);
    if (range.low > range.high)
        return IS_EMPTY;
    if constexpr (sizeof(Level) > 1)
        if (range.n_levels() > n) {
            const int32_t n_present =
                rank_levels(x, mask, n, *arrays.present, arrays.ranks, arrays.counts);
            match_table(arrays.counts, n_present, target, false, table);
            map_each(arrays.ranks, n, table, out);
            return 0;
        }
    count_levels(x, mask, n, range, arrays.counts);
    match_table(arrays.counts, range.n_levels(), target, false, table);
    look_up(x, n, range, table, out);
    return 0;
}

/* Match one plane of bytes, by a table of all levels; returns its status. */
template <class Out>
int match_plane(const uint8_t *x, const uint8_t *mask, ptrdiff_t n, const Target &target,
                const MatchArrays &arrays, Out *out) {
    Out *table = reinterpret_cast<Out *>(arrays.table);
    count_levels(x, mask, n, {0, 255}, arrays.counts);
    if (!match_table(arrays.counts, 256, target, false, table))
        return IS_EMPTY;
    map_levels(x, n, table, out);
    return 0;
}

/* Match one plane of reals by sorting it; returns its status. */
template <class Real, class Out>
int match_reals(const Real *x, const uint8_t *mask, ptrdiff_t n, const Target &target,
                const MatchArrays &arrays, Out *out) {
    Real low, high;
    Out *table = reinterpret_cast<Out *>(arrays.table);
    const int status = find_range(x, mask, n, low, high);
    if (status & (HAS_INF | IS_EMPTY))
        return status;
    const int32_t n_distinct = rank_pixels(x, mask, n, arrays.order, arrays.ranks, arrays.counts);
    match_table(arrays.counts, n_distinct, target, std::is_same_v<Real, float>, table);
    table[n_distinct] = saturated<Out>(std::numeric_limits<double>::quiet_NaN(), false);
    map_each(arrays.ranks, n, table, out);
    return status;
}

/* Match the planes of one channel to a target, into the same rows of out; false: not enough memory.
 */
template <class Pixel, class Out>
bool match(const Pixel *x, const uint8_t *mask, Planes planes, ptrdiff_t channel, Target target,
           uint8_t *status, Out *out) {
    Scratch scratch;
    const MatchArrays arrays(scratch, planes.n_pixels, N_LEVELS<Pixel>);
    if (!scratch.is_complete)
        return false;
    for (ptrdiff_t p = channel; p < planes.n; p += planes.n_channels) {
        const ptrdiff_t n = planes.n_pixels;
        const uint8_t *counted = planes.mask_of(p, mask);
        int found;
        if constexpr (std::is_floating_point_v<Pixel>)
            found = match_reals(x + p * n, counted, n, target, arrays, out + p * n);
        else
            found = match_plane(x + p * n, counted, n, target, arrays, out + p * n);
        status[p] = static_cast<uint8_t>(found);
    }
    return true;
}
