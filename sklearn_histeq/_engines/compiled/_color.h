/* Colours scaled as their value, the largest of them, was mapped.
 *
 * How the bits are kept: c * v' / v is computed in double precision and in this order, but as c / v *
 * v' where the product overflows; whole numbers are rounded half to even.
 */

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

/* Scale the first three of the n_channels planes of each image; values and equalized values have one
 * plane per image. */
template <class Pixel, class Value>
bool scale_colors(const Pixel *x, const Pixel *value, const Value *equalized, Planes planes,
                  Value *out) {
    const ptrdiff_t n = planes.n_pixels;
    for (ptrdiff_t p = 0; p < planes.n; ++p) {
        const ptrdiff_t image = p / planes.n_channels;
        const Pixel *v = value + image * n;
        const Value *e = equalized + image * n;
        if (p % planes.n_channels < 3 && scale_color<false>(x + p * n, v, e, n, out + p * n))
            scale_color<true>(x + p * n, v, e, n, out + p * n);
    }
    return true;
}
