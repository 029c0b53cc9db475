/* What the processor can do. */
#pragma once

#include "types.h"

#ifdef HISTEQ_X86
#include <cpuid.h>
#endif

namespace histeq {

/* The best instruction set that the processor has, and whose registers the operating system saves:
 * asked directly, since the compilers' own function for it lacks its library on Windows. */
inline int best_instruction_set() {
#ifdef HISTEQ_X86
    unsigned a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_POPCNT))
        return PORTABLE;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
        return PORTABLE;
    const bool has_avx512 = (saved & 0xe6) == 0xe6 && (b & bit_AVX512F) && (b & bit_AVX512BW);
    return has_avx512 && (c & bit_AVX512VBMI) ? AVX512_VBMI : AVX2;
#else
    return PORTABLE;
#endif
}

} // namespace histeq
