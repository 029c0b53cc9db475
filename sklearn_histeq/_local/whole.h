/* Counts in a whole plane or volume, for pixels whose windows have no counted pixel.
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

/* The counted pixels of a whole volume, which are sorted when the first of its pixels asks. */
template <class Pixel> class Whole {
    static constexpr ptrdiff_t N = N_LEVELS<Pixel>;
    static constexpr int N_BITS = 8 * sizeof(Pixel);

  public:
    Whole(Scratch &scratch, ptrdiff_t n, bool is_used)
        : n(n), before(scratch.array<int32_t>(is_used && N ? N + 1 : 0)),
          order(scratch, is_used && !N ? n : 0) {}

    /* Take a volume and its mask (or nullptr). */
    void take(const Pixel *volume, const uint8_t *of_volume) {
        x = volume;
        mask = of_volume;
        n_counted = 0;
    }

    /* The counts for a pixel. */
    Below counts_at(Pixel pixel) {
        if (!n_counted)
            sort();
        if constexpr (N > 0) {
            return {before[pixel], before[pixel + 1] - before[pixel]};
        } else {
            const uint64_t key = ordered(pixel) << (64 - N_BITS);
            const int32_t below = n_less(key);
            return {below, n_less(key + 1) - below};
        }
    }

    int32_t n_counted = 0; /* 0: not yet sorted */

  private:
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
};

} // namespace histeq::HISTEQ_TARGET
