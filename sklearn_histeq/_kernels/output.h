/* Values of a convention written as an output type, a row at a time.
 *
 * How the bits are kept: the order of operations is that of _arithmetic/output.py, value /
 * output_max * largest in double precision, rounded half to even. Adding and subtracting MAGIC_64
 * does that for values below 2**51.
 */
#pragma once

#include "types.h"

namespace histeq::HISTEQ_TARGET {

template <class Out> constexpr double LARGEST = std::numeric_limits<Out>::max();

/* How values become output: rounded to single precision first where that is the convention's own
 * type; to integers as rint(value / output_max * largest). */
struct Storage {
    bool is_float32;
    double output_max;
};

template <class Out>
void store_as(const double *values, ptrdiff_t n, Storage storage, Out *out) {
    const bool is_float32 = storage.is_float32;
    const double output_max = storage.output_max;
    const bool is_unit = output_max == 1.0; /* spares a division */
    for (ptrdiff_t i = 0; i < n; ++i) {
        const double value = is_float32 ? static_cast<float>(values[i]) : values[i];
        if constexpr (std::is_floating_point_v<Out>) {
            out[i] = static_cast<Out>(value);
        } else {
            const double scaled = (is_unit ? value : value / output_max) * LARGEST<Out>;
            /* NaN too: the caller refuses it */
            const double positive = scaled > 0.0 ? scaled : 0.0;
            const double clipped = positive < LARGEST<Out> ? positive : LARGEST<Out>;
            out[i] = static_cast<Out>(round_half_even(clipped));
        }
    }
}

/* Call run with the output's address, in its type. */
template <class Run> void by_type(Output out, const Run &run) {
    switch (out.type) {
    case TYPE<uint8_t>:
        return run(as<uint8_t>(out.start));
    case TYPE<uint16_t>:
        return run(as<uint16_t>(out.start));
    case TYPE<float>:
        return run(as<float>(out.start));
    default:
        return run(as<double>(out.start));
    }
}

inline void store(const double *values, ptrdiff_t n, Storage storage, Output out) {
    by_type(out, [=](auto *numbers) { store_as(values, n, storage, numbers); });
}

/* The address of output that takes doubles as they are, or nullptr. */
inline double *doubles_of(Output out, Storage storage) {
    const bool is_taken = out.type == TYPE<double> && !storage.is_float32;
    return is_taken ? as<double>(out.start) : nullptr;
}

/* Write the largest value to all n pixels; NaN stays. */
template <class Pixel, class Out>
void fill_as(const Pixel *x, ptrdiff_t n, double output_max, Out *out) {
    const double values[] = {output_max, std::numeric_limits<double>::quiet_NaN()};
    Out filled[2];
    store_as(values, 2, {false, output_max}, filled);
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = x[i] == x[i] ? filled[0] : filled[1];
}

template <class Pixel>
void fill_counted(const Pixel *x, ptrdiff_t n, double output_max, Output out) {
    by_type(out, [=](auto *numbers) { fill_as(x, n, output_max, numbers); });
}

} // namespace histeq::HISTEQ_TARGET
