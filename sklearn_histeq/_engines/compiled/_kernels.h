/* The kernels: function templates that loop over the pixels of planes.
 *
 * Each of them is compiled for the baseline of the processor's family, which has NEON on 64-bit ARM.
 * On x86-64 with GCC or Clang it is compiled once more for AVX2, and bytes are looked up with AVX-512
 * VBMI, too; the entry points at the end choose at run time, once per call. All variants give the
 * same bits: no multiply-add is contracted (build with -ffp-contract=off), no sum of reals is
 * reordered.
 *
 * Kernels check nothing. They write to arrays that their caller owns and return false where memory
 * for their scratch is missing. They use no exceptions, no type information at run time, and nothing
 * of the C++ library that has to be linked.
 */
#ifndef HISTEQ_KERNELS_H
#define HISTEQ_KERNELS_H

#include "_common.h"

#define HISTEQ_TARGET portable
#include "_per_target.h"
#undef HISTEQ_TARGET

#ifdef HISTEQ_X86
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,popcnt")
#endif
#define HISTEQ_TARGET avx2
#define HISTEQ_AVX2 1
#include "_per_target.h"
#undef HISTEQ_TARGET
#undef HISTEQ_AVX2
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#define HISTEQ_RUN(name, ...)                                                                      \
    (runs_on(AVX2) ? avx2::name(__VA_ARGS__) : portable::name(__VA_ARGS__))
#else
#define HISTEQ_RUN(name, ...) (portable::name(__VA_ARGS__))
#endif

namespace histeq {

/* An entry point: name(...) runs the best variant that is allowed. Cython names the types of the
 * pixels and of the output, which the variants find out from the arguments. */
#define HISTEQ_ENTRY(name)                                                                         \
    template <class Pixel, class Out = void, class... Arguments>                                   \
    bool name(Arguments... arguments) {                                                            \
        return HISTEQ_RUN(name, arguments...);                                                     \
    }
HISTEQ_ENTRY(transpose_pixels)
HISTEQ_ENTRY(equalize)
HISTEQ_ENTRY(find_ranges)
HISTEQ_ENTRY(add_level_counts)
HISTEQ_ENTRY(add_bin_counts)
HISTEQ_ENTRY(add_lattice_counts)
HISTEQ_ENTRY(narrow_planes)
HISTEQ_ENTRY(rank_planes)
HISTEQ_ENTRY(look_up)
HISTEQ_ENTRY(apply_curves)
HISTEQ_ENTRY(look_up_steps)
HISTEQ_ENTRY(interpolate_at)
HISTEQ_ENTRY(find_level_quantiles)
HISTEQ_ENTRY(match)
HISTEQ_ENTRY(scale_colors)
HISTEQ_ENTRY(adapt)
HISTEQ_ENTRY(adapt_opencv)
HISTEQ_ENTRY(adapt_skimage)
HISTEQ_ENTRY(blend_skimage_rows)
HISTEQ_ENTRY(equalize_locally)
#undef HISTEQ_ENTRY

} // namespace histeq

#endif
