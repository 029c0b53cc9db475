/* Local equalization: each pixel by the counted pixels of the window around it.
 *
 * How the bits are kept: counts are whole numbers, however they are found. A value is one quotient
 * of whole numbers in double precision: score / (2 * n) for mid-ranks, which is below + equal / 2
 * of n, and the truncated top * score / n in scikit-image's convention.
 *
 * To read, begin with `local`, the last function. It calls equalize_volumes, which calls
 * equalize_rows for each volume: Counted counts the pixels of the windows of a row, Scores compares
 * them, and write_ranks or write_levels writes the values.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/output.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"
#include "columns.h"
#include "shifts.h"
#include "whole.h"
#include "windows.h"

namespace histeq::HISTEQ_TARGET {

/* Square windows up to this width are compared place by place; wider ones are counted by
 * histograms. By measurement, for planes of 32x32 to 512x512 pixels with AVX2. Volumes of 32x64x128
 * pixels showed that histograms take a sixteenth of their time more for each further slice. */
template <class Pixel>
constexpr ptrdiff_t WIDEST_SHIFTS = sizeof(Pixel) == 1   ? 41
                                    : sizeof(Pixel) == 2 ? 57
                                    : sizeof(Pixel) == 4 ? 45
                                                         : 29;

/* Whether windows are compared place by place. */
template <class Pixel> bool are_compared(const Windows &windows) {
    const ptrdiff_t depth = least(2 * windows.radii.slices + 1, windows.depth);
    const ptrdiff_t height = 2 * windows.radii.rows + 1, width = 2 * windows.radii.columns + 1;
    const ptrdiff_t most = WIDEST_SHIFTS<Pixel> * WIDEST_SHIFTS<Pixel> * (depth + 15) / 16;
    return width <= std::numeric_limits<Signs<Pixel>>::max() && height <= most / width / depth;
}

/* Whether each pixel counts, and how many pixels of each window do. */
class Counted {
  public:
    Counted(Scratch &scratch, const Windows &windows, bool has_gaps)
        : windows(windows), in_columns(scratch.array<int32_t>(windows.width)),
          in_windows(scratch.array<int32_t>(windows.width)),
          before(scratch.array<int32_t>(windows.width + 1)),
          in(scratch.array<uint8_t>(has_gaps ? windows.n_pixels() : 0)) {}

    /* Take a volume and its mask (or nullptr); has_gaps: not all of its pixels count. */
    template <class Pixel> void take(const Pixel *x, const uint8_t *mask, bool has_gaps) {
        const ptrdiff_t n = has_gaps ? windows.n_pixels() : 0;
        uint8_t *const found = in;
        for (ptrdiff_t i = 0; i < n; ++i)
            found[i] = is_counted(x, mask, i);
        is_in = has_gaps ? in : nullptr;
    }

    /* The numbers of counted pixels in the windows of a row, which follows the row before. */
    int32_t *of_row(const Row &row) {
        if (row.is_first) {
            for (ptrdiff_t i = 0; i < windows.width; ++i)
                in_columns[i] = 0;
            from = next_row = row.rows.begin;
        }
        for (; next_row < row.rows.end; ++next_row)
            add_row(next_row, row.slices, 1);
        for (; from < row.rows.begin; ++from)
            add_row(from, row.slices, -1);
        sum_columns();
        return in_windows;
    }

    const uint8_t *is_in = nullptr; /* nullptr: all pixels count */

  private:
    void add_row(ptrdiff_t y, Span slices, int32_t sign) {
        const int32_t n_all = sign * static_cast<int32_t>(slices.size());
        for (ptrdiff_t i = 0; !is_in && i < windows.width; ++i)
            in_columns[i] += n_all;
        for (ptrdiff_t z = slices.begin; is_in && z < slices.end; ++z) {
            const uint8_t *row = is_in + (z * windows.height + y) * windows.width;
            for (ptrdiff_t i = 0; i < windows.width; ++i)
                in_columns[i] += sign * row[i];
        }
    }

    void sum_columns() {
        before[0] = 0;
        for (ptrdiff_t i = 0; i < windows.width; ++i)
            before[i + 1] = before[i] + in_columns[i];
        for (ptrdiff_t i = 0; i < windows.width; ++i) {
            const Span columns = around(i, windows.radii.columns, windows.width);
            in_windows[i] = before[columns.end] - before[columns.begin];
        }
    }

    const Windows &windows;
    int32_t *in_columns, *in_windows, *before;
    uint8_t *in;
    ptrdiff_t from = 0, next_row = 0; /* the rows that are counted */
};

/* The scores of the rows of a volume, in the way that suits the window; see shifts.h. Count: a
 * number with room for all pixels of a column of a window. */
template <class Pixel, class Count> class Scores {
  public:
    Scores(Scratch &scratch, const Windows &windows)
        : windows(windows), is_direct(are_compared<Pixel>(windows)),
          shifts(scratch, windows, is_direct), columns(scratch, windows, !is_direct),
          ranked(scratch, windows.n_pixels(), !(is_direct || IS_BYTE)),
          buckets(scratch, windows, !(is_direct || IS_BYTE)),
          scores(scratch.array<int32_t>(windows.width)) {}

    /* Take a volume; is_in (or nullptr): which pixels count. */
    void take(const Pixel *volume, const uint8_t *is_in) {
        x = volume;
        in = is_in;
        if (is_direct)
            return shifts.take(x, is_in);
        if constexpr (IS_BYTE) {
            columns.take(x, is_in);
        } else {
            ranked.take(x, is_in, windows.n_pixels());
            buckets.take(ranked, is_in);
            columns.take(buckets.codes, is_in);
        }
    }

    /* The scores of a row, which follows the row before; n_counted: the pixels of its windows. */
    template <bool HAS_BELOW> int32_t *of_row(const Row &row, const int32_t *n_counted) {
        if (is_direct) {
            shifts.template find_scores<HAS_BELOW>(row, n_counted, scores);
            return scores;
        }
        columns.start_row(row);
        if constexpr (!IS_BYTE)
            buckets.start_row(row);
        count_row<HAS_BELOW>(row.y * windows.width);
        return scores;
    }

  private:
    static constexpr bool IS_BYTE = sizeof(Pixel) == 1;

    /* Set the scores of the row that begins at pixel `start`. By itself, since the compiler keeps
     * too little of it in registers as a part of its caller. */
    template <bool HAS_BELOW> [[gnu::noinline]] void count_row(ptrdiff_t start) {
        for (ptrdiff_t i = 0; i < windows.width; ++i) {
            columns.step(i);
            const Below counts = counts_at(start + i, i);
            scores[i] = HAS_BELOW ? twice_rank(counts) : counts.below + counts.equal;
        }
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
    Columns<Count> columns;
    Ranks<Pixel> ranked;
    Buckets buckets;
    int32_t *scores;
    const Pixel *x = nullptr;
    const uint8_t *in = nullptr;
};

/* Write mid-ranks of a row of pixels as the output type; NaN stays. Where a window has no counted
 * pixel, they are those in the whole volume. */
template <class Pixel>
void write_ranks(const Pixel *x, const int32_t *scores, const int32_t *n_counted, ptrdiff_t n,
                 bool is_float32, Whole<Pixel> *whole, double *row, Output out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        row[i] = mid_rank(scores[i], n_counted[i]);
    for (ptrdiff_t i = 0; whole && i < n; ++i)
        if (!n_counted[i])
            row[i] = whole->rank_of(x[i]);
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

/* Equalize the rows of the volume at x that are to be written, into out. */
template <class Pixel, class Count>
void equalize_rows(const Pixel *x, const Windows &windows, Counted &counted,
                   Scores<Pixel, Count> &scores, Whole<Pixel> &whole, double *values, Output out) {
    const ptrdiff_t width = windows.width;
    for (ptrdiff_t y = windows.written.begin; y < windows.written.end; ++y) {
        const Row row = windows.row(y);
        const int32_t *n_counted = counted.of_row(row);
        const Output written = out.from((y - windows.written.begin) * width);
        if constexpr (std::is_integral_v<Pixel>)
            if (windows.is_skimage) {
                const int32_t *found = scores.template of_row<false>(row, n_counted);
                write_levels(found, n_counted, width, whole.top(), as<Pixel>(written.start));
                continue;
            }
        const int32_t *found = scores.template of_row<true>(row, n_counted);
        write_ranks(x + y * width, found, n_counted, width, windows.is_float32,
                    counted.is_in ? &whole : nullptr, values, written);
    }
}

/* Equalize the rows that are to be written of each volume. */
template <class Count, class Pixel>
int equalize_volumes(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status,
                     const Windows &windows, Array<const double> known) {
    const ptrdiff_t n = windows.n_pixels();
    const ptrdiff_t n_written = (windows.written.end - windows.written.begin) * windows.width;
    Scratch scratch;
    const bool may_have_gaps = mask.start || std::is_floating_point_v<Pixel>;
    Counted counted(scratch, windows, may_have_gaps);
    Scores<Pixel, Count> scores(scratch, windows);
    Whole<Pixel> whole(scratch, n, may_have_gaps && !known.start);
    double *values = scratch.array<double>(windows.width);
    if (!scratch.is_complete)
        return NO_MEMORY;
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const Pixel *plane = planes.row(p);
        const uint8_t *of_plane = mask_of(p, planes, mask);
        const int found = find_status(plane, of_plane, n);
        status[p] = static_cast<uint8_t>(found);
        if (found & HAS_INF || (found & IS_EMPTY && !known.start))
            continue;
        whole.take(plane, of_plane, known.start ? known.row(p) : nullptr, known.shape[1]);
        counted.take(plane, of_plane, of_plane || (found & HAS_NAN));
        scores.take(plane, counted.is_in);
        equalize_rows(plane, windows, counted, scores, whole, values, out.from(p * n_written));
    }
    return DONE;
}

/* Equalize each pixel of each plane or volume by the window around it, into the same row of out.
 * geometry: (depth, height, width) of a volume, a plane having depth 1, and how far windows reach
 * along each of these. Only the slice `rows` of the rows of pixels, which are numbered through all
 * slices of a volume, is written: out has these rows alone. known: of planes that are parts of larger
 * ones, a row of what matters of the larger one, as in `Whole`; None: they are whole, or nothing
 * matters. is_skimage: values are scikit-image's levels, of the planes' own type; is_float32: the
 * images are in single precision. */
template <class Pixel>
int local(Planes<Pixel> planes, Mask mask, Output out, Array<uint8_t> status,
          Array<const int64_t> geometry, RowSlice rows, Array<const double> known, bool is_skimage,
          bool is_float32) {
    const auto at = [geometry](int i) { return static_cast<ptrdiff_t>(geometry[i]); };
    rows = rows.within(at(0) * at(1));
    const Windows windows{at(0), at(1), at(2), {at(3), at(4), at(5)}, {rows.begin, rows.end},
                          is_skimage, is_float32};
    if (is_skimage && out.type != TYPE<Pixel>)
        return NOT_WRITTEN;
    if (windows.n_pixels() > std::numeric_limits<int32_t>::max())
        return NO_MEMORY;
    if (windows.column_size() <= std::numeric_limits<uint16_t>::max())
        return equalize_volumes<uint16_t>(planes, mask, out, status, windows, known);
    return equalize_volumes<uint32_t>(planes, mask, out, status, windows, known);
}

} // namespace histeq::HISTEQ_TARGET
