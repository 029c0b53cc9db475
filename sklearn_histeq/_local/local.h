/* Local equalization: each pixel by the counted pixels of the window around it.
 *
 * How the bits are kept: counts are whole numbers, however they are found. A value is one quotient
 * of whole numbers in double precision: score / (2 * n) for mid-ranks, which is below + equal / 2
 * of n, and the truncated top * score / n in scikit-image's convention.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"
#include "columns.h"
#include "shifts.h"
#include "windows.h"

namespace histeq::HISTEQ_TARGET {

/* Windows up to this width are compared place by place; wider ones are counted by histograms. By
 * measurement, for planes of 32x32 to 512x512 pixels with AVX2. */
template <class Pixel>
constexpr ptrdiff_t WIDEST_SHIFTS = sizeof(Pixel) == 1   ? 41
                                    : sizeof(Pixel) == 2 ? 57
                                    : sizeof(Pixel) == 4 ? 45
                                                         : 29;

/* Twice the mid-rank of a pixel: up to 2**32 of a window of 2**31 pixels, so without a sign. */
inline int32_t twice_rank(Below counts) {
    return static_cast<int32_t>(2 * static_cast<uint32_t>(counts.below) +
                                static_cast<uint32_t>(counts.equal));
}

/* The mid-rank as a share of the n pixels of a window. */
inline double mid_rank(int32_t twice, int32_t n) {
    return static_cast<double>(static_cast<uint32_t>(twice)) / (2.0 * static_cast<double>(n));
}

/* Whether each pixel counts, and how many pixels of each window do. */
class Counted {
  public:
    Counted(Scratch &scratch, const Windows &windows, bool has_gaps)
        : windows(windows), in_columns(scratch.array<int32_t>(windows.width)),
          in_windows(scratch.array<int32_t>(windows.width)),
          before(scratch.array<int32_t>(windows.width + 1)),
          in(scratch.array<uint8_t>(has_gaps ? windows.width * windows.height : 0)) {}

    /* Take a plane and its mask (or nullptr); has_gaps: not all of its pixels count. */
    template <class Pixel> void take(const Pixel *x, const uint8_t *mask, bool has_gaps) {
        const ptrdiff_t n = windows.width * windows.height;
        is_in = has_gaps ? in : nullptr;
        if (has_gaps)
            for (ptrdiff_t i = 0; i < n; ++i)
                in[i] = is_counted(x, mask, i);
        next_row = -1;
    }

    /* The numbers of counted pixels in the windows of row y, which follows the row before. */
    int32_t *of_row(ptrdiff_t y) {
        const ptrdiff_t top = windows.first_row(y), bottom = windows.last_row(y);
        if (next_row < 0) {
            for (ptrdiff_t i = 0; i < windows.width; ++i)
                in_columns[i] = 0;
            from = next_row = top;
        }
        for (; next_row < bottom; ++next_row)
            add_row(next_row, 1);
        for (; from < top; ++from)
            add_row(from, -1);
        sum_columns();
        return in_windows;
    }

    const uint8_t *is_in = nullptr; /* nullptr: all pixels count */

  private:
    void add_row(ptrdiff_t y, int32_t sign) {
        for (ptrdiff_t i = 0; i < windows.width; ++i)
            in_columns[i] += is_in ? sign * is_in[y * windows.width + i] : sign;
    }

    void sum_columns() {
        const ptrdiff_t width = windows.width;
        before[0] = 0;
        for (ptrdiff_t i = 0; i < width; ++i)
            before[i + 1] = before[i] + in_columns[i];
        for (ptrdiff_t i = 0; i < width; ++i)
            in_windows[i] = before[least(i + windows.radius + 1, width)] -
                            before[greatest(i - windows.radius, ptrdiff_t{0})];
    }

    const Windows &windows;
    int32_t *in_columns, *in_windows, *before;
    uint8_t *in;
    ptrdiff_t next_row = -1, from = 0;
};

/* The scores of the rows of a plane, in the way that suits the window; see shifts.h. */
template <class Pixel> class Scores {
  public:
    Scores(Scratch &scratch, const Windows &windows, bool has_gaps)
        : windows(windows), is_direct(2 * windows.radius < WIDEST_SHIFTS<Pixel>),
          shifts(scratch, windows, is_direct), columns(scratch, windows, !is_direct),
          ranked(scratch, windows.width * windows.height, has_gaps || !(is_direct || IS_BYTE)),
          buckets(scratch, windows, !is_direct && !IS_BYTE),
          scores(scratch.array<int32_t>(windows.width)) {}

    /* Take a plane; is_in (or nullptr): which pixels count. */
    void take(const Pixel *plane, const uint8_t *is_in) {
        x = plane;
        in = is_in;
        is_ranked = false;
        if (is_direct)
            return shifts.take(x, is_in);
        if constexpr (IS_BYTE) {
            columns.take(x, is_in);
        } else {
            rank();
            buckets.take(ranked, is_in);
            columns.take(buckets.codes, is_in);
        }
    }

    /* The scores of row y, which follows the row before; n_counted: the pixels of its windows. */
    template <bool HAS_BELOW> int32_t *of_row(ptrdiff_t y, const int32_t *n_counted) {
        if (is_direct) {
            shifts.template find_scores<HAS_BELOW>(y, n_counted, scores);
            return scores;
        }
        columns.start_row(y);
        if constexpr (!IS_BYTE)
            buckets.start_row(y);
        for (ptrdiff_t i = 0; i < windows.width; ++i) {
            columns.step(i);
            const Below counts = counts_at(y * windows.width + i, i);
            scores[i] = HAS_BELOW ? twice_rank(counts) : counts.below + counts.equal;
        }
        return scores;
    }

    /* Take the counts of the whole plane where a window of row y has no counted pixel. */
    void fill_row(ptrdiff_t y, int32_t *n_counted) {
        for (ptrdiff_t i = 0; i < windows.width; ++i)
            if (!n_counted[i]) {
                rank();
                const ptrdiff_t pixel = y * windows.width + i;
                const Below counts = ranked.of_plane(pixel);
                scores[i] = twice_rank(counts);
                n_counted[i] = ranked.n_counted;
            }
    }

  private:
    static constexpr bool IS_BYTE = sizeof(Pixel) == 1;

    void rank() {
        if (!is_ranked)
            ranked.take(x, in, windows.width * windows.height);
        is_ranked = true;
    }

    Below counts_at(ptrdiff_t pixel, ptrdiff_t column) {
        if constexpr (IS_BYTE) {
            return columns.counts_at(column, x[pixel]);
        } else {
            if (x[pixel] != x[pixel])
                return {0, 0};
            const uint8_t code = buckets.codes[pixel];
            const Below of_codes = columns.counts_at(column, code);
            const Below counts =
                buckets.refine(column, code, ranked.ranks[pixel], of_codes);
            return in && !in[pixel] ? ranked.of_value(pixel, counts) : counts;
        }
    }

    const Windows &windows;
    bool is_direct;
    Shifts<Pixel> shifts;
    Columns columns;
    PlaneRanks<Pixel> ranked;
    Buckets buckets;
    int32_t *scores;
    const Pixel *x = nullptr;
    const uint8_t *in = nullptr;
    bool is_ranked = false;
};

/* Write mid-ranks of a row of pixels as the output type; NaN stays. */
template <class Pixel>
void write_ranks(const Pixel *x, const int32_t *scores, const int32_t *n_counted, ptrdiff_t n,
                 bool is_float32, double *row, Output out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        row[i] = mid_rank(scores[i], n_counted[i]);
    if constexpr (std::is_floating_point_v<Pixel>)
        for (ptrdiff_t i = 0; i < n; ++i)
            row[i] = x[i] == x[i] ? row[i] : std::numeric_limits<double>::quiet_NaN();
    store(row, n, {is_float32, 1.0}, out);
}

/* Write scikit-image's levels of a row of pixels. */
template <class Level>
void write_levels(const int32_t *scores, const int32_t *n_counted, ptrdiff_t n, double top,
                  Level *out) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        const double level = top * scores[i] / greatest(n_counted[i], 1);
        out[i] = static_cast<Level>(static_cast<int32_t>(level));
    }
}

/* Equalize some rows of a plane. */
template <class Pixel>
void equalize_rows(const Pixel *x, const Windows &windows, Counted &counted,
                   Scores<Pixel> &scores, double *row, Output out) {
    double top = 255;
    if constexpr (sizeof(Pixel) == 2)
        top = greatest(find_range(x, nullptr, windows.width * windows.height).high, 3);
    for (ptrdiff_t y = windows.begin; y < windows.end; ++y) {
        int32_t *n_counted = counted.of_row(y);
        const ptrdiff_t start = y * windows.width;
        if constexpr (std::is_integral_v<Pixel>)
            if (windows.is_peer) {
                const int32_t *found = scores.template of_row<false>(y, n_counted);
                write_levels(found, n_counted, windows.width, top,
                             as<Pixel>(out.from(start).start));
                continue;
            }
        const int32_t *found = scores.template of_row<true>(y, n_counted);
        if (counted.is_in)
            scores.fill_row(y, n_counted);
        write_ranks(x + start, found, n_counted, windows.width, windows.is_float32, row,
                    out.from(start));
    }
}

/* The status of a plane. */
template <class Pixel> int find_status(const Pixel *x, const uint8_t *mask, ptrdiff_t n) {
    if constexpr (std::is_floating_point_v<Pixel>) {
        Pixel low, high;
        return find_range(x, mask, n, low, high);
    } else {
        const LevelRange range = find_range(x, mask, n);
        return range.low > range.high ? IS_EMPTY : 0;
    }
}

/* Equalize each pixel of each plane by the window around it, into the same row of out; a window is
 * 2 * radius + 1 pixels wide. Only the slice `rows` of the rows of pixels is written. is_peer:
 * values are scikit-image's levels, of the planes' own type; is_float32: the images are in single
 * precision. */
template <class Pixel>
int local(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status, ptrdiff_t height,
          ptrdiff_t width, ptrdiff_t radius, RowSlice rows, bool is_peer, bool is_float32) {
    rows = rows.within(height);
    const Windows windows{height, width, radius, rows.begin, rows.end, is_peer, is_float32};
    const ptrdiff_t n = planes.shape[1];
    if (is_peer && out.type != TYPE<Pixel>)
        return NOT_WRITTEN;
    Scratch scratch;
    const bool may_have_gaps = mask.start || std::is_floating_point_v<Pixel>;
    Counted counted(scratch, windows, may_have_gaps);
    Scores<Pixel> scores(scratch, windows, may_have_gaps);
    double *row = scratch.array<double>(width);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Pixel *plane = planes.row(p);
        const uint8_t *of_plane = mask_of(p, planes, mask);
        const int found = find_status(plane, of_plane, n);
        status[p] = static_cast<uint8_t>(found);
        if (found & (HAS_INF | IS_EMPTY))
            continue;
        counted.take(plane, of_plane, of_plane || (found & HAS_NAN));
        scores.take(plane, counted.is_in);
        equalize_rows(plane, windows, counted, scores, row, out.from(p * n));
    }
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
