/* Counts in large windows: histograms of 256 codes, one per column of the window, are added and
 * taken away as the window moves (Perreault and Hebert, "Median filtering in constant time", 2007).
 *
 * How the bits are kept: all counts are whole numbers. The codes of bytes are the bytes. Other
 * pixels are ranked first, and runs of ranks share a code; pixels with the same code are compared
 * one by one, unless all of them are equal.
 */
#pragma once

#include "../_kernels/ranks.h"
#include "../_kernels/types.h"
#include "windows.h"

namespace histeq::HISTEQ_TARGET {

constexpr ptrdiff_t N_CODES = 256, N_COARSE = 16; /* a coarse count is the sum of 16 codes */

/* How many counted pixels of a window are below its pixel, and how many are equal. */
struct Below {
    int32_t below, equal;
};

/* The window's histogram, of which only the parts that are asked for are kept up to date. */
class Columns {
  public:
    Columns(Scratch &scratch, const Windows &windows, bool is_used)
        : windows(windows), fine(scratch.array<uint16_t>(is_used ? windows.width * N_CODES : 0)),
          coarse(scratch.array<uint16_t>(is_used ? windows.width * N_COARSE : 0)) {}

    /* Take a plane of codes; is_in (or nullptr): which pixels count. */
    void take(const uint8_t *plane, const uint8_t *is_in) {
        codes = plane;
        in = is_in;
        next_row = -1;
    }

    /* Go to the beginning of row y, which follows the row before. */
    void start_row(ptrdiff_t y) {
        const ptrdiff_t top = windows.first_row(y), bottom = windows.last_row(y);
        const size_t width = static_cast<size_t>(windows.width);
        if (next_row < 0) {
            std::memset(fine, 0, width * N_CODES * sizeof(uint16_t));
            std::memset(coarse, 0, width * N_COARSE * sizeof(uint16_t));
            from = next_row = top;
        }
        for (; next_row < bottom; ++next_row)
            add_row(next_row, 1);
        for (; from < top; ++from)
            add_row(from, -1);
        std::memset(coarse_sums, 0, sizeof coarse_sums);
        for (ptrdiff_t column = 0; column < least(windows.radius, windows.width); ++column)
            add<N_COARSE>(coarse + column * N_COARSE, 1, coarse_sums);
        for (ptrdiff_t part = 0; part < N_COARSE; ++part)
            up_to_date[part] = NEVER;
    }

    /* Go to the next column, which is i. */
    void step(ptrdiff_t i) {
        if (i + windows.radius < windows.width)
            add<N_COARSE>(coarse + (i + windows.radius) * N_COARSE, 1, coarse_sums);
        if (i > windows.radius)
            add<N_COARSE>(coarse + (i - windows.radius - 1) * N_COARSE, -1, coarse_sums);
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

    template <ptrdiff_t N> static void add(const uint16_t *counts, int32_t sign, int32_t *sums) {
        for (ptrdiff_t k = 0; k < N; ++k)
            sums[k] += sign * counts[k];
    }

    void add_row(ptrdiff_t y, int sign) {
        const uint8_t *row = codes + y * windows.width;
        for (ptrdiff_t i = 0; i < windows.width; ++i) {
            const int n = in && !in[y * windows.width + i] ? 0 : sign;
            fine[i * N_CODES + row[i]] = static_cast<uint16_t>(fine[i * N_CODES + row[i]] + n);
            uint16_t &sum = coarse[i * N_COARSE + row[i] / N_COARSE];
            sum = static_cast<uint16_t>(sum + n);
        }
    }

    /* The counts of 16 codes in the window of column i. */
    const int32_t *part_at(ptrdiff_t i, ptrdiff_t part) {
        int32_t *sums = fine_sums + part * N_COARSE;
        const uint16_t *counts = fine + part * N_COARSE;
        const ptrdiff_t radius = windows.radius, width = windows.width;
        ptrdiff_t at = up_to_date[part];
        if (at == NEVER || i - at > 2 * radius) { /* nothing of the old window is left */
            std::memset(sums, 0, N_COARSE * sizeof(int32_t));
            const ptrdiff_t stop = least(i + radius + 1, width);
            for (ptrdiff_t column = greatest(i - radius, ptrdiff_t{0}); column < stop; ++column)
                add<N_COARSE>(counts + column * N_CODES, 1, sums);
        } else {
            for (++at; at <= i; ++at) {
                if (at + radius < width)
                    add<N_COARSE>(counts + (at + radius) * N_CODES, 1, sums);
                if (at > radius)
                    add<N_COARSE>(counts + (at - radius - 1) * N_CODES, -1, sums);
            }
        }
        up_to_date[part] = i;
        return sums;
    }

    const Windows &windows;
    uint16_t *fine, *coarse; /* (width, N_CODES), (width, N_COARSE) */
    const uint8_t *codes = nullptr, *in = nullptr;
    ptrdiff_t next_row = NEVER, from = 0;
    int32_t coarse_sums[N_COARSE], fine_sums[N_CODES]; /* of the window */
    ptrdiff_t up_to_date[N_COARSE];                    /* the column whose window fine_sums has */
};

/* The ranks of a plane's pixels among its counted ones. */
template <class Pixel> class PlaneRanks {
  public:
    PlaneRanks(Scratch &scratch, ptrdiff_t n, bool is_used)
        : ranks(scratch.array<int32_t>(is_used ? n : 0)),
          counts(scratch.array<int32_t>(is_used ? n + 1 : 0)),
          before(scratch.array<int32_t>(is_used ? n + 1 : 0)),
          values(scratch.array<Pixel>(is_used ? n : 0)), order(scratch, is_used ? n : 0) {}

    /* Rank a plane; is_in (or nullptr): which pixels count. */
    void take(const Pixel *plane, const uint8_t *is_in, ptrdiff_t n) {
        x = plane;
        n_distinct = rank_pixels(x, is_in, n, order, ranks, counts);
        int32_t sum = 0;
        for (int32_t rank = 0; rank < n_distinct; sum += counts[rank++])
            before[rank] = sum;
        n_counted = sum;
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

    /* The counts of the whole plane for pixel i. */
    Below of_plane(ptrdiff_t i) const { return of_value(i, {before[ranks[i]], counts[ranks[i]]}); }

    int32_t *ranks, *counts, *before; /* before: how many counted pixels have a lower rank */
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
        : windows(windows), n(is_used ? windows.width * windows.height : 0),
          codes(scratch.array<uint8_t>(n)), of_rank(scratch.array<uint8_t>(n + 1)),
          columns(scratch.array<int32_t>(n)), rows(scratch.array<int32_t>(n)),
          member_ranks(scratch.array<int32_t>(n)) {}

    /* Find the codes of a plane's ranks. */
    template <class Pixel> void take(const PlaneRanks<Pixel> &ranked, const uint8_t *is_in) {
        set_codes(ranked.counts, ranked.n_distinct, ranked.n_counted);
        of_rank[ranked.n_distinct] = 0; /* of NaN */
        ptrdiff_t n_members[N_CODES + 1] = {0};
        for (ptrdiff_t i = 0; i < n; ++i) {
            codes[i] = of_rank[ranked.ranks[i]];
            n_members[codes[i] + 1] += is_shared[codes[i]] && (!is_in || is_in[i]);
        }
        for (ptrdiff_t code = 0; code < N_CODES; ++code) {
            n_members[code + 1] += n_members[code];
            ends[code] = first[code] = next[code] = n_members[code];
        }
        for (ptrdiff_t i = 0; i < n; ++i)
            if (is_shared[codes[i]] && (!is_in || is_in[i])) {
                const ptrdiff_t place = ends[codes[i]]++;
                columns[place] = static_cast<int32_t>(i % windows.width);
                rows[place] = static_cast<int32_t>(i / windows.width);
                member_ranks[place] = ranked.ranks[i];
            }
    }

    /* Go to row y, which follows the row before. */
    void start_row(ptrdiff_t y) {
        const ptrdiff_t top = windows.first_row(y), bottom = windows.last_row(y);
        for (ptrdiff_t code = 0; code < N_CODES; ++code) {
            while (next[code] < ends[code] && rows[next[code]] < bottom)
                ++next[code];
            while (first[code] < next[code] && rows[first[code]] < top)
                ++first[code];
        }
    }

    /* From the counts of codes for a pixel in column i, return those of ranks. */
    Below refine(ptrdiff_t i, uint8_t code, int32_t rank, Below counted) const {
        if (!is_shared[code])
            return counted;
        const int32_t column = static_cast<int32_t>(i);
        const int32_t radius = static_cast<int32_t>(windows.radius);
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
        for (int32_t rank = 0; rank < n_distinct; ++rank) {
            const bool is_new = n_distinct <= N_CODES || n_in_code + counts[rank] > share;
            code += is_new;
            n_in_code = is_new ? counts[rank] : n_in_code + counts[rank];
            is_shared[code] = !is_new;
            of_rank[rank] = static_cast<uint8_t>(code);
        }
    }

    const Windows &windows;
    ptrdiff_t n;

  public:
    uint8_t *codes;

  private:
    uint8_t *of_rank;
    int32_t *columns, *rows, *member_ranks; /* of pixels whose code is shared, code by code */
    bool is_shared[N_CODES];                /* by different ranks */
    ptrdiff_t ends[N_CODES], first[N_CODES], next[N_CODES]; /* members: all, those in the rows */
};

} // namespace histeq::HISTEQ_TARGET
