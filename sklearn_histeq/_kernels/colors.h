/* Colours scaled as their value, the largest of them, was mapped.
 *
 * How the bits are kept: c * v' / v is computed in double precision and in this order, but as c / v
 * * v' where the product overflows; whole numbers are rounded half to even.
 */
#pragma once

#include "types.h"

namespace histeq::HISTEQ_TARGET {

/* Set out = c * equalized / value of n pixels, and the equalized value itself where the value is 0;
 * returns whether a product has overflowed. */
template <bool OVERFLOWS, class Pixel, class Value>
bool scale_color(const Pixel *x, const Pixel *value, const Value *equalized, ptrdiff_t n,
                 Value *out) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    int has_overflow = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const double c = static_cast<double>(x[i]), v = static_cast<double>(value[i]);
        const double mapped = static_cast<double>(equalized[i]), divisor = v == 0.0 ? 1.0 : v;
        double scaled = c * mapped / divisor;
        const bool is_infinite = std::fabs(scaled) == infinity;
        if constexpr (OVERFLOWS)
            scaled = is_infinite ? c / divisor * mapped : scaled;
        has_overflow |= is_infinite;
        scaled = v == 0.0 ? mapped : scaled;
        if constexpr (std::is_floating_point_v<Value>)
            out[i] = static_cast<Value>(scaled);
        else
            out[i] = static_cast<Value>(round_half_even(scaled));
    }
    return has_overflow;
}

/* Scale the first three of the planes that share a row of values. */
template <class Pixel, class Value>
int scale_planes(Planes<Pixel> planes, Planes<Pixel> values, const Value *equalized, Value *out) {
    const ptrdiff_t n = planes.shape[1];
    for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
        const ptrdiff_t n_channels = planes.shape[0] / values.shape[0], image = p / n_channels;
        const Pixel *x = planes.row(p), *v = values.row(image);
        const Value *e = equalized + image * n;
        if (p % n_channels < 3 && scale_color<false>(x, v, e, n, out + p * n))
            scale_color<true>(x, v, e, n, out + p * n);
    }
    return DONE;
}

/* out = c * equalized / value, for the first three of the planes that share a row of values; where
 * the value is 0, out is the equalized value. Planes beyond three are left alone. The output is of
 * reals, or of the pixels' levels. */
template <class Pixel>
int scale_colors(Planes<Pixel> planes, Planes<Pixel> values, Values equalized, Output out) {
    if (equalized.first.type != out.type)
        return NOT_WRITTEN;
    if (out.type == TYPE<double>)
        return scale_planes(planes, values, as<double>(equalized.row(0)), as<double>(out.start));
    if (out.type == TYPE<float>)
        return scale_planes(planes, values, as<float>(equalized.row(0)), as<float>(out.start));
    if constexpr (std::is_integral_v<Pixel>)
        if (out.type == TYPE<Pixel>)
            return scale_planes(planes, values, as<Pixel>(equalized.row(0)), as<Pixel>(out.start));
    return NOT_WRITTEN;
}

} // namespace histeq::HISTEQ_TARGET
