/* The steps of equalization one by one, for formulas without a kernel of their own, for planes that
 * threads share, and for what is learned: ranges, counts and ranks of planes, and transfer functions
 * applied to planes.
 *
 * How the bits are kept: see _levels.h, _reals.h and _ranks.h; what is between the steps, the values
 * of a transfer function, is NumPy's work. Row p of the pixels belongs to row p % n_rows of counts
 * and tables, so that planes may share a row with the other planes of their channel.
 */

/* Set the status and the range of the counted pixels of each plane; low > high where none is. */
template <class Pixel>
bool find_ranges(const Pixel *x, const uint8_t *mask, Planes planes, uint8_t *status, double *lows,
                 double *highs) {
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const Pixel *plane = x + p * planes.n_pixels;
        const uint8_t *counted = planes.mask_of(p, mask);
        if constexpr (std::is_floating_point_v<Pixel>) {
            Pixel low, high;
            status[p] = static_cast<uint8_t>(find_range(plane, counted, planes.n_pixels, low, high));
            lows[p] = low, highs[p] = high;
        } else {
            const LevelRange range = find_range(plane, counted, planes.n_pixels);
            lows[p] = range.low, highs[p] = range.high;
            status[p] = lows[p] > highs[p] ? IS_EMPTY : 0;
        }
    }
    return true;
}

/* Add the counted pixels of each plane to counts (n_rows, N_LEVELS). */
template <class Level>
bool add_level_counts(const Level *x, const uint8_t *mask, Planes planes, ptrdiff_t n_rows,
                      int64_t *counts) {
    constexpr ptrdiff_t n_levels = N_LEVELS<Level>;
    int32_t of_plane[4 * (256 + N_BEYOND)];
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const Level *plane = x + p * planes.n_pixels;
        const uint8_t *counted = planes.mask_of(p, mask);
        int64_t *row = counts + p % n_rows * n_levels;
        if constexpr (n_levels == 256) {
            count_levels(plane, counted, planes.n_pixels, {0, 255}, of_plane);
            for (ptrdiff_t level = 0; level < n_levels; ++level)
                row[level] += of_plane[level];
        } else {
            for (ptrdiff_t i = 0; i < planes.n_pixels; ++i)
                row[plane[i]] += !counted || counted[i];
        }
    }
    return true;
}

/* Add the counted pixels of each plane to the counts (n_rows, n_bins) of equal bins over its row's
 * range; adds REFER to the status of planes for which that is not certain. */
template <class Real>
bool add_bin_counts(const Real *x, const uint8_t *mask, Planes planes, ptrdiff_t n_rows,
                    Curves bins, uint8_t *status, int64_t *counts) {
    Scratch scratch;
    Grid<Real> grid;
    const ptrdiff_t n = planes.n_pixels, n_bins = bins.n_bins;
    grid.thresholds = scratch.array<Real>(n_bins + 1);
    int32_t *intervals = scratch.array<int32_t>(N_BLOCK);
    int32_t *of_plane = scratch.array<int32_t>(n_counts(n_bins + 1));
    if (!scratch.is_complete)
        return false;
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const Real low = static_cast<Real>(bins.lows[p % n_rows]);
        const Real high = static_cast<Real>(bins.highs[p % n_rows]);
        if (!make_grid(low, high, n_bins, false, grid)) {
            status[p] |= REFER;
            continue;
        }
        const uint8_t *counted = planes.mask_of(p, mask);
        count_reals(x + p * n, counted, counted || (status[p] & HAS_NAN), n, grid, intervals,
                    N_BLOCK, of_plane);
        join_bins(grid, of_plane);
        for (ptrdiff_t k = 0; k < n_bins; ++k)
            counts[p % n_rows * n_bins + k] += of_plane[k];
    }
    return true;
}

/* Map each plane of reals by its row of curves into out; adds REFER to the status of planes for
 * which that is not certain. */
template <class Real, class Out>
bool apply_curves(const Real *x, Planes planes, Curves curves, Storage storage,
                  uint8_t *status, Out *out) {
    Scratch scratch;
    Grid<Real> grid;
    const ptrdiff_t n = planes.n_pixels, n_bins = curves.n_bins;
    grid.thresholds = scratch.array<Real>(2 * n_bins + 1);
    Segment *segments = scratch.array<Segment>(n_bins + 2);
    int32_t *intervals = scratch.array<int32_t>(N_BLOCK);
    double *buffer = scratch.array<double>(N_BLOCK);
    if (!scratch.is_complete)
        return false;
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const Real low = static_cast<Real>(curves.lows[p]);
        const Real high = static_cast<Real>(curves.highs[p]);
        const int64_t *counts = curves.counts ? curves.counts + p * n_bins : nullptr;
        if (!make_grid(low, high, n_bins, curves.at_centers, grid) ||
            !join_segments(grid, curves.values + p * n_bins, counts, segments))
            status[p] |= REFER;
        else
            interpolate_anew(x + p * n, n, grid, segments, storage, intervals, buffer, out + p * n);
    }
    return true;
}

/* table[index] of each pixel; tables (n_rows, width). */
template <class Index, class Out>
bool look_up(const Index *x, Planes planes, const Out *tables, ptrdiff_t n_rows, ptrdiff_t width,
             Out *out) {
    for (ptrdiff_t p = 0; p < planes.n; ++p)
        map_levels(x + p * planes.n_pixels, planes.n_pixels, tables + p % n_rows * width,
                   out + p * planes.n_pixels);
    return true;
}

/* Integers of four or eight bytes as levels of two, less the least counted one of their plane; adds
 * REFER to the status of planes that have more. */
template <class Wide>
bool narrow_planes(const Wide *x, const uint8_t *mask, Planes planes, uint8_t *status,
                   uint16_t *out) {
    const ptrdiff_t n = planes.n_pixels;
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const Wide *plane = x + p * n;
        const uint8_t *counted = planes.mask_of(p, mask);
        Wide low = std::numeric_limits<Wide>::max(), high = std::numeric_limits<Wide>::min();
        for (ptrdiff_t i = 0; i < n; ++i) {
            const bool in = !counted || counted[i];
            low = in && plane[i] < low ? plane[i] : low;
            high = in && plane[i] > high ? plane[i] : high;
        }
        status[p] = low > high ? IS_EMPTY : 0;
        if (low <= high && static_cast<uint64_t>(high) - static_cast<uint64_t>(low) > 65535)
            status[p] = REFER;
        for (ptrdiff_t i = 0; !status[p] && i < n; ++i)
            out[p * n + i] = static_cast<uint16_t>(least(greatest(plane[i], low), high) - low);
    }
    return true;
}

/* Set the ranks of the pixels of each plane, and the counts (n, n_pixels) of its distinct values,
 * followed by zeros; n_distinct is the largest number of these. */
template <class Pixel>
bool rank_planes(const Pixel *x, const uint8_t *mask, Planes planes, int32_t *ranks, int32_t *counts,
                 int32_t *n_distinct) {
    constexpr bool has_levels = sizeof(Pixel) == 2;
    const ptrdiff_t n = planes.n_pixels;
    Scratch scratch;
    const Order order(scratch, has_levels ? 0 : n);
    Present *present = scratch.array<Present>(has_levels);
    if (!scratch.is_complete)
        return false;
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const uint8_t *counted = planes.mask_of(p, mask);
        int32_t found;
        if constexpr (has_levels)
            found = rank_levels(x + p * n, counted, n, *present, ranks + p * n, counts + p * n);
        else
            found = rank_pixels(x + p * n, counted, n, order, ranks + p * n, counts + p * n);
        std::memset(counts + p * n + found, 0, static_cast<size_t>(n - found) * sizeof(int32_t));
        *n_distinct = greatest(*n_distinct, found);
    }
    return true;
}
