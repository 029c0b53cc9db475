/* Values of a convention written as an output type, a row at a time.
 *
 * How the bits are kept: the order of operations is that of _arithmetic/output.py, value / output_max
 * * largest in double precision, rounded half to even. Adding and subtracting MAGIC_64 does that for
 * values below 2**51.
 */

template <class Out> constexpr double LARGEST = std::numeric_limits<Out>::max();

template <class Out> void store(const double *values, ptrdiff_t n, Storage storage, Out *out) {
    const bool is_float32 = storage.is_float32;
    const double output_max = storage.output_max;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const double value = is_float32 ? static_cast<float>(values[i]) : values[i];
        if constexpr (std::is_floating_point_v<Out>) {
            out[i] = static_cast<Out>(value);
        } else {
            const double scaled = value / output_max * LARGEST<Out>;
            const double positive = scaled > 0.0 ? scaled : 0.0; /* NaN too: the caller refuses it */
            const double clipped = positive < LARGEST<Out> ? positive : LARGEST<Out>;
            out[i] = static_cast<Out>(round_half_even(clipped));
        }
    }
}

/* Write the largest value to all n pixels; NaN stays. */
template <class Pixel, class Out>
void fill_counted(const Pixel *x, ptrdiff_t n, double output_max, Out *out) {
    const double values[2] = {output_max, std::numeric_limits<double>::quiet_NaN()};
    Out stored[2];
    store(values, 2, {false, output_max}, stored);
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = x[i] == x[i] ? stored[0] : stored[1];
}
