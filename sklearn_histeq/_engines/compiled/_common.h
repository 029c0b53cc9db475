/* What the kernels of all instruction sets share: types, constants, memory. No loop over pixels. */
#ifndef HISTEQ_COMMON_H
#define HISTEQ_COMMON_H

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

/* GCC for Windows does not align AVX registers on the stack. */
#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && !defined(_WIN32))) &&      \
    !defined(HISTEQ_PORTABLE)
#define HISTEQ_X86 1
#include <cpuid.h>
#include <immintrin.h>
#endif

#if defined(__aarch64__)
#define HISTEQ_NEON 1
#include <arm_neon.h>
#endif

#if defined(_M_X64) || defined(_M_ARM64) ||                                                        \
    (defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#define HISTEQ_LITTLE_ENDIAN 1
#endif

namespace histeq {

using std::int32_t;
using std::int64_t;
using std::ptrdiff_t;
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

/* Which instruction set runs: 0, 1, 2 of `INSTRUCTION_SETS` in _kernels.pyx. Threads may choose and
 * run at the same time: all sets give the same bits. */
enum { PORTABLE, AVX2, AVX512_VBMI };
inline std::atomic<int> instruction_set{PORTABLE};

inline bool runs_on(int least) {
    return instruction_set.load(std::memory_order_relaxed) >= least;
}

#ifdef HISTEQ_X86
/* What the processor can do, and the operating system saves: asked directly, since the compilers'
 * own function for it lacks its library on Windows. */
inline int best_instruction_set() {
    unsigned a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_POPCNT))
        return PORTABLE;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
        return PORTABLE;
    const bool has_avx512 = (saved & 0xe6) == 0xe6 && (b & bit_AVX512F) && (b & bit_AVX512BW);
    return has_avx512 && (c & bit_AVX512VBMI) ? AVX512_VBMI : AVX2;
}
#else
inline int best_instruction_set() { return PORTABLE; }
#endif

/* Bits of a plane's status, as in _arithmetic/status.py, which a test compares. */
enum {
    HAS_NAN = 1,
    HAS_INF = 2,
    IS_EMPTY = 4,
    IS_FLAT = 64, /* all counted pixels are equal; only within the kernels */
    REFER = 128,  /* the kernels are not certain of the bits: the caller finds another way */
};

/* The formulas that have a kernel, by their numbers in _arithmetic/conventions.py. */
enum { SKIMAGE_UNIFORM, NUMPY_RECIPE, OPENCV_TABLE, PILLOW_TABLE };

constexpr ptrdiff_t N_STREAMED = 131072; /* doubles that no near cache holds */
constexpr ptrdiff_t N_BLOCK = 4096;      /* pixels that are worked on in the near cache */
constexpr ptrdiff_t TILE_LANES = 8;      /* tiles of a row that are worked on together */
constexpr ptrdiff_t N_FOURFOLD = 4096;   /* tables up to this length are counted fourfold */

/* Adding and subtracting 1.5 * 2**(digits - 1) rounds to a whole number, half to even. */
constexpr float MAGIC_32 = 12582912.0f;
constexpr double MAGIC_64 = 6755399441055744.0;

/* The number of levels of a type of pixels; 0 for reals. */
template <class Pixel>
constexpr ptrdiff_t N_LEVELS = std::is_integral_v<Pixel> ? ptrdiff_t{1} << (8 * sizeof(Pixel)) : 0;

inline int32_t round_half_even(double value) {
    return static_cast<int32_t>((value + MAGIC_64) - MAGIC_64);
}

template <class T> inline T least(T a, T b) { return b < a ? b : a; }
template <class T> inline T greatest(T a, T b) { return a < b ? b : a; }

/* The planes of a call: rows of pixels; n_channels rows in turn share a row of the mask. */
struct Planes {
    ptrdiff_t n, n_channels, n_pixels;

    const uint8_t *mask_of(ptrdiff_t plane, const uint8_t *mask) const {
        return mask ? mask + plane / n_channels * n_pixels : nullptr;
    }
};

/* How counts become values. */
struct EqualizeRule {
    ptrdiff_t n_bins; /* 0: one bin per level */
    int formula;

    double output_max() const { return formula == SKIMAGE_UNIFORM ? 1.0 : 255.0; }
};

/* A quantile function: values at increasing shares, and the slopes between them. */
struct Target {
    const double *shares, *values, *slopes;
    ptrdiff_t n;
    double n_below, n_counted; /* of a range of a plane's values: pixels below, and of the plane */
};

/* Where the tiles of planes lie, and between which two tiles each row and column of pixels. */
struct Tiling {
    const int32_t *rows, *columns; /* of each tile: (n, 2) edges; of the peers' tiles (n, side) pixels */
    const int32_t *above, *below;  /* (height,) the rows of tiles around each row of pixels */
    const int32_t *places;         /* (width,) where a pixel's two tiles begin in a row of tables */
    const double *fy;              /* (height,) the share of the lower row of tiles */
    const double *shares;          /* (width, 2) of the left and the right tile */
    ptrdiff_t n_tiles;             /* of a row */
    ptrdiff_t tile_height, tile_width; /* of the peers' tiles */
    ptrdiff_t height, width;
    ptrdiff_t begin, end; /* the rows of pixels to write */
};

/* How the counts of tiles become transfer functions. */
struct AdaptRule {
    double clip_limit; /* infinite for none; in the peers' conventions a number of pixels */
    ptrdiff_t n_bins;
    bool is_float32; /* the images are in single precision */
};

/* Square windows around the pixels of planes, cut off at the border. */
struct Windows {
    ptrdiff_t height, width; /* of the planes */
    ptrdiff_t radius;        /* a window is 2 * radius + 1 pixels wide */
    ptrdiff_t begin, end;    /* the rows of pixels to write */
    bool is_peer;            /* scikit-image's levels, and not mid-ranks */
    bool is_float32;         /* the images are in single precision */

    /* The rows of the windows around row y: the first, and the one behind the last. */
    ptrdiff_t first_row(ptrdiff_t y) const { return y < radius ? 0 : y - radius; }
    ptrdiff_t last_row(ptrdiff_t y) const {
        return height - y <= radius ? height : y + radius + 1;
    }
};

/* Transfer functions of rows of pixels: values at the centers of n_bins equal bins over [low, high],
 * or at their left edges; bins without a count are left out where counts are given. */
struct Curves {
    const double *lows, *highs, *values; /* values (n, n_bins) */
    const int64_t *counts;               /* (n, n_bins), or nullptr */
    ptrdiff_t n_bins;
    bool at_centers;
};

/* numpy.interp's arguments: values at n increasing points, and the finite slopes between them. */
struct Knots {
    const double *points, *values, *slopes;
    ptrdiff_t n;
};

/* Bins [(start + i) * 2**exponent, (start + i + 1) * 2**exponent) of each row. */
struct Lattices {
    const int64_t *starts;
    const int32_t *exponents;
    ptrdiff_t n_bins;
};

/* How values become output: rounded to single precision first where that is the convention's own
 * type; to integers as rint(value / output_max * largest). */
struct Storage {
    bool is_float32;
    double output_max;
};

/* One straight piece of a transfer function: slope * (x - x0) + y0. */
struct Segment {
    double x0, slope, y0, unused; /* 32 bytes: one load */
};

/* Memory for the arrays of one call, freed at its end; each array begins at 64 bytes. */
class Scratch {
  public:
    Scratch() = default;
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    ~Scratch() {
        for (int i = 0; i < n_blocks; ++i)
            std::free(blocks[i]);
    }

    template <class T> T *array(ptrdiff_t n) {
        void *block = std::malloc(static_cast<size_t>(n) * sizeof(T) + 64);
        is_complete &= block != nullptr;
        blocks[n_blocks++] = block;
        return reinterpret_cast<T *>((reinterpret_cast<uintptr_t>(block) + 63) & ~uintptr_t{63});
    }

    bool is_complete = true; /* false: there is not enough memory for all arrays */

  private:
    void *blocks[24];
    int n_blocks = 0;
};

} // namespace histeq

#endif
