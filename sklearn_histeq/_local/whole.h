/* What matters of a whole plane or volume: the mid-ranks among all of its counted pixels, for pixels
 * whose windows have none, and its highest level.
 *
 * How the bits are kept: all counts are whole numbers. Levels are counted one by one; reals are
 * sorted as integers that sort as they do.
 */
#pragma once

#include "../_kernels/levels.h"
#include "../_kernels/ranks.h"
#include "../_kernels/reals.h"
#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* How many counted pixels are below a pixel, and how many are equal. */
struct Below {
    int32_t below, equal;
};

/* Twice the mid-rank of a pixel: up to 2**32 of a window of 2**31 pixels, so without a sign. */
inline int32_t twice_rank(Below counts) {
    return static_cast<int32_t>(2 * static_cast<uint32_t>(counts.below) +
                                static_cast<uint32_t>(counts.equal));
}

/* The mid-rank as a share of the n pixels of a window; NaN if there is none. */
inline double mid_rank(int32_t twice, int32_t n) {
    return static_cast<double>(static_cast<uint32_t>(twice)) / (2.0 * static_cast<double>(n));
}

/* A whole volume. It may be known in advance: `known` has the mid-ranks of all levels, or the counted
 * reals in order, or for scikit-image's convention the highest level. If not, the counted pixels are
 * sorted when the first pixel asks. */
template <class Pixel> class Whole {
    static constexpr ptrdiff_t N = N_LEVELS<Pixel>;
    static constexpr int N_BITS = 8 * sizeof(Pixel);

  public:
    Whole(Scratch &scratch, ptrdiff_t n, bool is_used)
        : n(n), before(scratch.array<int32_t>(is_used && N ? N + 1 : 0)),
          order(scratch, is_used && !N ? n : 0) {}

    /* Take a volume and its mask (or nullptr), and what is known (or nullptr). */
    void take(const Pixel *volume, const uint8_t *of_volume, const double *known_of,
              ptrdiff_t n_known_of) {
        x = volume;
        mask = of_volume;
        known = known_of;
        n_known = n_known_of;
        n_counted = 0;
        highest = 0;
    }

    /* The mid-rank of a pixel. */
    double rank_of(Pixel pixel) {
        if (known) {
            if constexpr (N > 0)
                return known[pixel];
            const double below = static_cast<double>(n_known_below(pixel, false));
            const double equal = static_cast<double>(n_known_below(pixel, true)) - below;
            return (below + equal / 2) / static_cast<double>(n_known);
        }
        if (!n_counted)
            sort();
        return mid_rank(twice_rank(counts_at(pixel)), n_counted);
    }

    /* The level that scikit-image gives to a CDF of 1. */
    double top() {
        if (sizeof(Pixel) == 1)
            return 255;
        if (known)
            return *known;
        if constexpr (N > 0)
            if (!highest)
                highest = greatest(find_range(x, nullptr, n).high, 3);
        return highest;
    }

  private:
    Below counts_at(Pixel pixel) const {
        if constexpr (N > 0) {
            return {before[pixel], before[pixel + 1] - before[pixel]};
        } else {
            const uint64_t key = ordered(pixel) << (64 - N_BITS);
            const int32_t below = n_less(key);
            return {below, n_less(key + 1) - below};
        }
    }

    void sort() {
        if constexpr (N > 0) {
            std::memset(before, 0, (N + 1) * sizeof(int32_t));
            for (ptrdiff_t i = 0; i < n; ++i)
                before[x[i] + 1] += is_counted(x, mask, i);
            cumulate(before, N + 1);
            n_counted = before[N];
        } else {
            for (ptrdiff_t i = 0; i < n; ++i)
                if (is_counted(x, mask, i))
                    order.keys[n_counted++] = ordered(x[i]) << (64 - N_BITS);
            if (N_BITS == 64) { /* stably, by the lower halves first */
                swap_halves();
                sort_by_upper(order.keys, n_counted, order.other);
                swap_halves();
            }
            sort_by_upper(order.keys, n_counted, order.other);
        }
    }

    void swap_halves() {
        for (ptrdiff_t i = 0; i < n_counted; ++i)
            order.keys[i] = order.keys[i] << 32 | order.keys[i] >> 32;
    }

    /* How many known reals are less, or equal, too. */
    ptrdiff_t n_known_below(Pixel pixel, bool or_equal) const {
        ptrdiff_t low = 0, high = n_known;
        while (low < high) {
            const ptrdiff_t middle = low + (high - low) / 2;
            if (known[middle] < pixel || (or_equal && known[middle] == pixel))
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    /* How many keys are less. */
    int32_t n_less(uint64_t key) const {
        int32_t low = 0, high = n_counted;
        while (low < high) {
            const int32_t middle = low + (high - low) / 2;
            if (order.keys[middle] < key)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    const ptrdiff_t n;
    int32_t *before; /* how many counted pixels have a lower level */
    Order order;
    const Pixel *x = nullptr;
    const uint8_t *mask = nullptr;
    int32_t n_counted = 0; /* 0: not yet sorted */
    int32_t highest = 0;   /* 0: not yet found */
    const double *known = nullptr;
    ptrdiff_t n_known = 0;
};

} // namespace histeq::HISTEQ_TARGET
