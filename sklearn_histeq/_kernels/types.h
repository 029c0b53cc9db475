/* What the kernels of all instruction sets share: types, constants, memory. No loop over pixels.
 *
 * This header alone includes those of the C++ library and of the compiler, before any code for
 * special instructions begins: so none of their functions is compiled for these.
 */
#pragma once

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

/* The namespace of the loops, which avx2.h names otherwise to compile them once more. */
#ifndef HISTEQ_TARGET
#define HISTEQ_TARGET portable
#endif

namespace histeq {

using std::int32_t;
using std::int64_t;
using std::ptrdiff_t;
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

enum { PORTABLE, AVX2, AVX512_VBMI };

/* The best instruction set of this processor, and the one that is in use. Threads may choose and
 * run at the same time: all sets give the same bits. */
struct InstructionSets {
    int best;
    std::atomic<int> in_use;
};
extern InstructionSets *instruction_sets; /* of all modules; _kernels.shared holds it */

inline bool runs_on(int least) {
    return instruction_sets->in_use.load(std::memory_order_relaxed) >= least;
}

/* Bits of a plane's status, as in _arithmetic/status.py, which a test compares. */
enum {
    HAS_NAN = 1,
    HAS_INF = 2,
    IS_EMPTY = 4,
    IS_FAR = 64,
    REFER = 128,   /* the kernels are not certain of the bits: the caller finds another way */
    IS_FLAT = 256, /* all counted pixels are equal; only within the kernels */
};

/* What a kernel returns, if it has nothing else to tell; NOT_WRITTEN: it does not know the type of
 * the output. */
enum { NOT_WRITTEN = -2, NO_MEMORY = -1, DONE = 0 };

constexpr ptrdiff_t N_BLOCK = 4096;      /* pixels that are worked on in the near cache */
constexpr ptrdiff_t N_COUNTED = ptrdiff_t{1} << 30; /* pixels that 32 bits count */
constexpr ptrdiff_t N_STREAMED = 131072; /* doubles that no near cache holds */
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

/* Arrays from Python ------------------------------------------------------------------------- */

/* A type of numbers, by its size in bytes and its kind. */
constexpr int OF_SIGNED = 16, OF_REALS = 32;
template <class Number>
constexpr int TYPE = sizeof(Number) + (std::is_floating_point_v<Number> ? OF_REALS
                                       : std::is_signed_v<Number>       ? OF_SIGNED
                                                                        : 0);

/* A contiguous array of up to three axes; axes that it lacks have the length 1. None is an array
 * without memory. */
template <class Number> struct Array {
    using Type = Number;
    Number *start;
    ptrdiff_t shape[3];

    Number &operator[](ptrdiff_t i) const { return start[i]; }
    Number *row(ptrdiff_t i) const { return start + i * shape[1]; }
};

/* Planes are the rows of an array. A mask has a row per image, which tells the counted pixels of
 * all planes of the image. */
template <class Pixel> using Planes = Array<const Pixel>;
using Mask = Array<const uint8_t>;

/* The row of a mask for plane p, or nullptr. */
template <class Pixel>
const uint8_t *mask_of(ptrdiff_t p, const Planes<Pixel> &planes, const Mask &mask) {
    return mask.start ? mask.row(p / (planes.shape[0] / mask.shape[0])) : nullptr;
}

/* Where values go: an array of one of the types that kernels write, uint8, uint16, float or double,
 * from some place on. */
struct Output {
    int type;
    char *start;

    ptrdiff_t item_size() const { return type & 15; }
    Output from(ptrdiff_t i) const { return {type, start + i * item_size()}; }
    /* Other memory, for values of the same type. */
    Output at(void *memory) const { return {type, static_cast<char *>(memory)}; }
};

/* Values to be copied to the output: the rows of an array of the output's type. */
struct Values {
    Output first;
    ptrdiff_t n_rows, width;

    const void *row(ptrdiff_t i) const { return first.from(i * width).start; }
};

/* Memory as an array of a type. */
template <class Number> Number *as(void *memory) { return static_cast<Number *>(memory); }
template <class Number> const Number *as(const void *memory) {
    return static_cast<const Number *>(memory);
}

/* The rows of pixels that a call writes, as Python's slices count them. */
struct RowSlice {
    ptrdiff_t begin, end;

    /* The same of planes with so many rows: 0 <= begin <= end <= height. */
    RowSlice within(ptrdiff_t height) const {
        const auto row = [height](ptrdiff_t i) {
            return greatest<ptrdiff_t>(least(i < 0 ? i + height : i, height), 0);
        };
        return row(begin) < row(end) ? RowSlice{row(begin), row(end)} : RowSlice{0, 0};
    }
};

/* Memory ------------------------------------------------------------------------------------- */

/* Memory for the arrays of one call, freed at its end. Each array has a block of memory, which begins
 * with the address of the block before; the array begins at a multiple of 64 bytes. */
class Scratch {
  public:
    Scratch() = default;
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    ~Scratch() {
        while (last) {
            void *block = last;
            last = *as<void *>(block);
            std::free(block);
        }
    }

    template <class T> T *array(ptrdiff_t n) {
        void *block = std::malloc(static_cast<size_t>(n) * sizeof(T) + sizeof last + 64);
        if (!block) {
            is_complete = false;
            return nullptr;
        }
        *as<void *>(block) = last;
        last = block;
        const uintptr_t start = reinterpret_cast<uintptr_t>(block) + sizeof last;
        return reinterpret_cast<T *>((start + 63) & ~uintptr_t{63});
    }

    bool is_complete = true; /* false: there is not enough memory for all arrays */

  private:
    void *last = nullptr; /* block of memory */
};

} // namespace histeq
