/* Counts in large windows: histograms of 256 codes, one per column of the window, are added and
 * taken away as the window moves (Perreault and Hebert, "Median filtering in constant time", 2007).
 * A column has the pixels of all slices and rows of the window that share a place in their row.
 *
 * How the bits are kept: all counts are whole numbers. The codes of bytes are the bytes. Other
 * pixels are ranked first, and runs of ranks share a code; pixels with the same code are compared
 * one by one, unless all of them are equal.
 */
#pragma once

#include "../_kernels/ranks.h"
#include "../_kernels/types.h"
#include "whole.h"
#include "windows.h"

namespace histeq::HISTEQ_TARGET {

constexpr ptrdiff_t N_CODES = 256, N_COARSE = 16; /* a coarse count is the sum of 16 codes */

/* The window's histogram, of which only the parts that are asked for are kept up to date. Count:
 * a number with room for all pixels of a column. */
template <class Count> class Columns {
  public:
    Columns(Scratch &scratch, const Windows &windows, bool is_used)
        : windows(windows), fine(scratch.array<Count>(is_used ? windows.width * N_CODES : 0)),
          coarse(scratch.array<Count>(is_used ? windows.width * N_COARSE : 0)) {}

    /* Take a volume of codes; is_in (or nullptr): which pixels count. */
    void take(const uint8_t *volume, const uint8_t *is_in) {
        codes = volume;
        in = is_in;
    }

    /* Go to the beginning of a row, which follows the row before. */
    void start_row(const Row &row) {
        const size_t width = static_cast<size_t>(windows.width);
        if (row.is_first) {
            std::memset(fine, 0, width * N_CODES * sizeof(Count));
            std::memset(coarse, 0, width * N_COARSE * sizeof(Count));
            from = next_row = row.rows.begin;
        }
        for (; next_row < row.rows.end; ++next_row)
            add_row(next_row, row.slices, 1);
        for (; from < row.rows.begin; ++from)
            add_row(from, row.slices, -1);
        std::memset(coarse_sums, 0, sizeof coarse_sums);
        for (ptrdiff_t column = 0; column < least(radius, windows.width); ++column)
            add<1>(coarse + column * N_COARSE, coarse_sums);
        for (ptrdiff_t part = 0; part < N_COARSE; ++part)
            up_to_date[part] = NEVER;
    }

    /* Go to the next column, which is i. */
    void step(ptrdiff_t i) {
        if (i + radius < windows.width)
            add<1>(coarse + (i + radius) * N_COARSE, coarse_sums);
        if (i > radius)
            add<-1>(coarse + (i - radius - 1) * N_COARSE, coarse_sums);
    }

    /* Count the codes of the window of column i that are below a code, and those that are equal. */
    Below counts_at(ptrdiff_t i, uint8_t code) {
        const ptrdiff_t part = code / N_COARSE, place = code % N_COARSE;
        const int32_t *of_part = part_at(i, part);
        int32_t below = 0;
        for (ptrdiff_t k = 0; k < N_COARSE; ++k) {
            below += k < part ? coarse_sums[k] : 0;
            below += k < place ? of_part[k] : 0;
        }
        return {below, of_part[place]};
    }

  private:
    static constexpr ptrdiff_t NEVER = -1;

    /* Add 16 counts of a column to those of the window, or take them away. */
    template <int32_t SIGN> static void add(const Count *counts, int32_t *sums) {
        for (ptrdiff_t k = 0; k < N_COARSE; ++k)
            sums[k] += SIGN * static_cast<int32_t>(counts[k]);
    }

    /* Add a row of some slices, or take it away. */
    void add_row(ptrdiff_t y, Span slices, int sign) {
        for (ptrdiff_t z = slices.begin; z < slices.end; ++z) {
            const ptrdiff_t start = (z * windows.height + y) * windows.width;
            for (ptrdiff_t i = 0; i < windows.width; ++i) {
                const uint8_t code = codes[start + i];
                const int n = in && !in[start + i] ? 0 : sign;
                Count &count = fine[i * N_CODES + code];
                count = static_cast<Count>(count + static_cast<Count>(n));
                Count &sum = coarse[i * N_COARSE + code / N_COARSE];
                sum = static_cast<Count>(sum + static_cast<Count>(n));
            }
        }
    }

    /* The counts of 16 codes in the window of column i. */
    const int32_t *part_at(ptrdiff_t i, ptrdiff_t part) {
        int32_t *sums = fine_sums + part * N_COARSE;
        const Count *counts = fine + part * N_COARSE;
        const ptrdiff_t width = windows.width;
        ptrdiff_t at = up_to_date[part];
        if (at == NEVER || i - at > 2 * radius) { /* nothing of the old window is left */
            std::memset(sums, 0, N_COARSE * sizeof(int32_t));
            const ptrdiff_t stop = least(i + radius + 1, width);
            for (ptrdiff_t column = greatest(i - radius, ptrdiff_t{0}); column < stop; ++column)
                add<1>(counts + column * N_CODES, sums);
        } else {
            for (++at; at <= i; ++at) {
                if (at + radius < width)
                    add<1>(counts + (at + radius) * N_CODES, sums);
                if (at > radius)
                    add<-1>(counts + (at - radius - 1) * N_CODES, sums);
            }
        }
        up_to_date[part] = i;
        return sums;
    }

    const Windows &windows;
    const ptrdiff_t radius = windows.radii.columns;
    Count *fine, *coarse; /* (width, N_CODES), (width, N_COARSE) */
    const uint8_t *codes = nullptr, *in = nullptr;
    ptrdiff_t from = 0, next_row = 0; /* the rows that are counted */
    int32_t coarse_sums[N_COARSE], fine_sums[N_CODES]; /* of the window */
    ptrdiff_t up_to_date[N_COARSE];                    /* the column whose window fine_sums has */
};

/* The ranks of the pixels of a volume among its counted ones. */
template <class Pixel> class Ranks {
  public:
    Ranks(Scratch &scratch, ptrdiff_t n, bool is_used)
        : ranks(scratch.array<int32_t>(is_used ? n : 0)),
          counts(scratch.array<int32_t>(is_used ? n + 1 : 0)),
          values(scratch.array<Pixel>(is_used ? n : 0)), order(scratch, is_used ? n : 0) {}

    /* Rank a volume; is_in (or nullptr): which pixels count, maybe none. */
    void take(const Pixel *volume, const uint8_t *is_in, ptrdiff_t n) {
        x = volume;
        n_distinct = rank_pixels(x, is_in, n, order, ranks, counts);
        n_counted = 0;
        for (int32_t rank = 0; rank < n_distinct; ++rank)
            n_counted += counts[rank];
        values[0] = x[0]; /* if none counts */
        for (ptrdiff_t i = 0; i < n; ++i)
            if (!is_in || is_in[i])
                values[ranks[i]] = x[i];
    }

    /* The counts of ranks below and equal to that of pixel i, as counts of values: a pixel that
     * does not count may lie above the value of its rank, or below the least. */
    Below of_value(ptrdiff_t i, Below counted) const {
        const Pixel value = values[ranks[i]];
        if (x[i] > value)
            return {counted.below + counted.equal, 0};
        return {counted.below, x[i] < value ? 0 : counted.equal};
    }

    int32_t *ranks, *counts;
    int32_t n_distinct = 0, n_counted = 0;

  private:
    Pixel *values;
    Order order;
    const Pixel *x = nullptr;
};

/* Codes of ranks: runs of ranks that hold few pixels share a code. */
class Buckets {
  public:
    Buckets(Scratch &scratch, const Windows &windows, bool is_used)
        : windows(windows), n(is_used ? windows.n_pixels() : 0),
          n_reached(n / windows.depth * least(2 * windows.radii.slices + 1, windows.depth)),
          codes(scratch.array<uint8_t>(n)), of_rank(scratch.array<uint8_t>(n + 1)),
          columns(scratch.array<int32_t>(n_reached)), rows(scratch.array<int32_t>(n_reached)),
          member_ranks(scratch.array<int32_t>(n_reached)) {}

    /* Find the codes of a volume's ranks; is_in (or nullptr): which pixels count. */
    template <class Pixel> void take(const Ranks<Pixel> &ranked, const uint8_t *is_in) {
        in = is_in;
        ranks = ranked.ranks;
        set_codes(ranked.counts, ranked.n_distinct, ranked.n_counted);
        of_rank[ranked.n_distinct] = 0; /* of NaN */
        for (ptrdiff_t i = 0; i < n; ++i)
            codes[i] = of_rank[ranks[i]];
    }

    /* Go to a row, which follows the row before. */
    void start_row(const Row &row) {
        if (row.is_first)
            find_members(row.slices);
        for (ptrdiff_t code = 0; code < N_CODES; ++code) {
            while (next[code] < ends[code] && rows[next[code]] < row.rows.end)
                ++next[code];
            while (first[code] < next[code] && rows[first[code]] < row.rows.begin)
                ++first[code];
        }
    }

    /* From the counts of codes for a pixel in column i, return those of ranks. */
    Below refine(ptrdiff_t i, uint8_t code, int32_t rank, Below counted) const {
        if (!is_shared[code])
            return counted;
        const int32_t column = static_cast<int32_t>(i);
        const int32_t radius = static_cast<int32_t>(windows.radii.columns);
        int32_t below = 0, equal = 0;
        for (ptrdiff_t k = first[code]; k < next[code]; ++k) {
            const int32_t distance = columns[k] - column;
            const bool is_near = (distance <= radius) & (distance >= -radius);
            below += is_near & (member_ranks[k] < rank);
            equal += is_near & (member_ranks[k] == rank);
        }
        return {counted.below + below, equal};
    }

  private:
    /* Two codes, one behind the other, hold more pixels than a share: so there are at most 255. */
    void set_codes(const int32_t *counts, int32_t n_distinct, int32_t n_counted) {
        const int32_t share = n_counted / 127 + 1;
        int32_t code = -1, n_in_code = share;
        is_shared[0] = false; /* if none counts */
        for (int32_t rank = 0; rank < n_distinct; ++rank) {
            const bool is_new = n_distinct <= N_CODES || n_in_code + counts[rank] > share;
            code += is_new;
            n_in_code = is_new ? counts[rank] : n_in_code + counts[rank];
            is_shared[code] = !is_new;
            of_rank[rank] = static_cast<uint8_t>(code);
        }
    }

    bool is_member(ptrdiff_t i) const { return is_shared[codes[i]] && (!in || in[i]); }

    /* List the members of some slices, code by code, those of a code row by row. */
    void find_members(Span slices) {
        const ptrdiff_t height = windows.height, width = windows.width;
        ptrdiff_t n_members[N_CODES + 1] = {0};
        for (ptrdiff_t i = slices.begin * height * width; i < slices.end * height * width; ++i)
            n_members[codes[i] + 1] += is_member(i);
        for (ptrdiff_t code = 0; code < N_CODES; ++code) {
            n_members[code + 1] += n_members[code];
            ends[code] = first[code] = next[code] = n_members[code];
        }
        for (ptrdiff_t y = 0; y < height; ++y)
            for (ptrdiff_t z = slices.begin; z < slices.end; ++z)
                for (ptrdiff_t column = 0; column < width; ++column) {
                    const ptrdiff_t i = (z * height + y) * width + column;
                    if (!is_member(i))
                        continue;
                    const ptrdiff_t place = ends[codes[i]]++;
                    columns[place] = static_cast<int32_t>(column);
                    rows[place] = static_cast<int32_t>(y);
                    member_ranks[place] = ranks[i];
                }
    }

    const Windows &windows;
    ptrdiff_t n, n_reached; /* pixels; those in the slices of windows, at most */

  public:
    uint8_t *codes;

  private:
    uint8_t *of_rank;
    /* of the members, which are the counted pixels whose code is shared */
    int32_t *columns, *rows, *member_ranks;
    bool is_shared[N_CODES]; /* by different ranks */
    ptrdiff_t ends[N_CODES], first[N_CODES], next[N_CODES]; /* members: all, those in the rows */
    const uint8_t *in = nullptr;
    const int32_t *ranks = nullptr;
};

} // namespace histeq::HISTEQ_TARGET
