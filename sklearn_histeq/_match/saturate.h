/* Values of histogram matching written as an output type. */
#pragma once

#include "../_kernels/output.h"
#include "../_kernels/types.h"

namespace histeq::HISTEQ_TARGET {

/* Values as the output type, in whose range they are kept: cast, or rounded, where NaN becomes 0.
 * Those that were rounded to single precision first may be infinite there. */
template <class Out>
void saturate_as(const double *values, ptrdiff_t n, bool is_float32, Out *out) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        const double value = is_float32 ? static_cast<float>(values[i]) : values[i];
        if constexpr (std::is_same_v<Out, double>) {
            out[i] = value;
        } else if constexpr (std::is_same_v<Out, float>) {
            const double bounded = value > LARGEST<Out> ? LARGEST<Out> : value; /* NaN stays */
            const double finite = bounded < -LARGEST<Out> ? -LARGEST<Out> : bounded;
            out[i] = static_cast<Out>(is_float32 ? value : finite);
        } else {
            const double positive = value > 0 ? value : 0.0;
            out[i] = static_cast<Out>(
                round_half_even(positive < LARGEST<Out> ? positive : LARGEST<Out>));
        }
    }
}

inline void saturate(const double *values, ptrdiff_t n, bool is_float32, Output out) {
    by_type(out, [=](auto *numbers) { saturate_as(values, n, is_float32, numbers); });
}

} // namespace histeq::HISTEQ_TARGET
