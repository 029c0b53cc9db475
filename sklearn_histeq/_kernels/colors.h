/* Colours reduced to one plane, and colours that follow this plane when it was mapped.
 *
 * How the bits are kept: reals are computed in double precision, in the order of
 * _arithmetic/color.py, and whole numbers are rounded half to even. What is OpenCV's is arithmetic
 * of integers, with the tables of _arithmetic/lightness.py.
 *
 * Planes are those of images, three or four for each row of a plane that they share; what is beyond
 * three is left alone.
 */
#pragma once

#include "output.h"
#include "types.h"

namespace histeq::HISTEQ_TARGET {

/* Red, green and blue of n pixels. */
template <class Pixel> struct Rgb {
    Pixel *red, *green, *blue;
};

/* The colours of an image, where n_images share the planes. */
template <class Pixel> Rgb<Pixel> rgb_of(Pixel *planes, ptrdiff_t image, ptrdiff_t n_channels,
                                         ptrdiff_t n) {
    Pixel *red = planes + image * n_channels * n;
    return {red, red + n, red + 2 * n};
}

/* Whole numbers in 2**-SHIFT, rounded, halves up. */
template <int SHIFT> int32_t descaled(int32_t value) {
    return (value + (1 << (SHIFT - 1))) >> SHIFT;
}

inline int32_t within(int32_t value, int32_t low, int32_t high) {
    return greatest(low, least(value, high));
}

template <class Value> Value as_value(double value) {
    if constexpr (std::is_floating_point_v<Value>)
        return static_cast<Value>(value);
    else
        return static_cast<Value>(round_half_even(value));
}

/* Call run(mapped, out), both in their type: reals, or the pixels' levels. */
template <class Pixel, class Run> int by_color_type(Values mapped, Output out, const Run &run) {
    if (mapped.first.type != out.type)
        return NOT_WRITTEN;
    if (out.type == TYPE<double>)
        run(as<double>(mapped.row(0)), as<double>(out.start));
    else if (out.type == TYPE<float>)
        run(as<float>(mapped.row(0)), as<float>(out.start));
    else if (out.type == TYPE<Pixel>)
        run(as<Pixel>(mapped.row(0)), as<Pixel>(out.start));
    else
        return NOT_WRITTEN;
    return DONE;
}

/* Value -------------------------------------------------------------------------------------- */

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
        out[i] = as_value<Value>(v == 0.0 ? mapped : scaled);
    }
    return has_overflow;
}

/* out = c * equalized / value; where the value is 0, the equalized value. */
template <class Pixel>
int scale_colors(Planes<Pixel> planes, Planes<Pixel> values, Values equalized, Output out) {
    const ptrdiff_t n = planes.shape[1], n_channels = planes.shape[0] / values.shape[0];
    return by_color_type<Pixel>(equalized, out, [=](const auto *mapped, auto *colors) {
        for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
            const Pixel *x = planes.row(p), *v = values.row(p / n_channels);
            const auto *e = mapped + p / n_channels * n;
            if (p % n_channels < 3 && scale_color<false>(x, v, e, n, colors + p * n))
                scale_color<true>(x, v, e, n, colors + p * n);
        }
    });
}

/* Luminance ---------------------------------------------------------------------------------- */

template <class Pixel> Pixel luminance_of(Pixel red, Pixel green, Pixel blue) {
    if constexpr (std::is_floating_point_v<Pixel>) {
        const double r = red, g = green, b = blue;
        return static_cast<Pixel>((g + 0.299 * (r - g)) + 0.114 * (b - g));
    } else {
        return static_cast<Pixel>(descaled<14>(4899 * red + 9617 * green + 1868 * blue));
    }
}

/* Set out (n_images, n) to the luminance of planes. */
template <class Pixel> int find_luminance(Planes<Pixel> planes, Array<Pixel> out) {
    const ptrdiff_t n = planes.shape[1], n_channels = planes.shape[0] / out.shape[0];
    for (ptrdiff_t image = 0; image < out.shape[0]; ++image) {
        const auto x = rgb_of(planes.start, image, n_channels, n);
        Pixel *y = out.row(image);
        for (ptrdiff_t i = 0; i < n; ++i)
            y[i] = luminance_of(x.red[i], x.green[i], x.blue[i]);
    }
    return DONE;
}

/* out = mapped + (c - y) * top / full, kept in [0, top]. */
template <class Pixel>
int shift_colors(Planes<Pixel> planes, Planes<Pixel> luminances, Values mapped, double top,
                 double full, Output out) {
    const ptrdiff_t n = planes.shape[1], n_channels = planes.shape[0] / luminances.shape[0];
    return by_color_type<Pixel>(mapped, out, [=](const auto *all_mapped, auto *colors) {
        using Value = std::remove_pointer_t<decltype(colors)>;
        for (ptrdiff_t p = 0; p < planes.shape[0]; ++p) {
            const Pixel *x = planes.row(p), *y = luminances.row(p / n_channels);
            const auto *y_out = all_mapped + p / n_channels * n;
            Value *shifted = colors + p * n;
            for (ptrdiff_t i = 0; p % n_channels < 3 && i < n; ++i) {
                const double difference = static_cast<double>(x[i]) - static_cast<double>(y[i]);
                double value = static_cast<double>(y_out[i]) + difference * top / full;
                value = value < 0.0 ? 0.0 : value; /* NaN stays */
                shifted[i] = as_value<Value>(value > top ? top : value);
            }
        }
    });
}

/* The colours of a mapped luminance, with the Cr and Cb that they had, as OpenCV rounds them. */
template <class Level>
int follow_in_ycrcb(Planes<Level> planes, Planes<Level> luminances, Planes<Level> mapped,
                    Array<Level> out) {
    constexpr int32_t top = std::numeric_limits<Level>::max(), half = top / 2 + 1;
    const ptrdiff_t n = planes.shape[1], n_channels = planes.shape[0] / luminances.shape[0];
    for (ptrdiff_t image = 0; image < luminances.shape[0]; ++image) {
        const auto x = rgb_of(planes.start, image, n_channels, n);
        const auto colors = rgb_of(out.start, image, n_channels, n);
        const Level *y = luminances.row(image), *y_out = mapped.row(image);
        for (ptrdiff_t i = 0; i < n; ++i) {
            const int32_t cr = within(descaled<14>((x.red[i] - y[i]) * 11682), -half, half - 1);
            const int32_t cb = within(descaled<14>((x.blue[i] - y[i]) * 9241), -half, half - 1);
            const auto shifted = [=](int32_t by) {
                return static_cast<Level>(within(y_out[i] + descaled<14>(by), 0, top));
            };
            colors.red[i] = shifted(cr * 22987);
            colors.green[i] = shifted(cr * -11698 + cb * -5636);
            colors.blue[i] = shifted(cb * 29049);
        }
    }
    return DONE;
}

/* OpenCV's CIELAB ---------------------------------------------------------------------------- */

/* The tables of _arithmetic/lightness.opencv_tables. */
struct LabTables {
    const uint16_t *linear, *roots, *y, *fy, *encoded;

    explicit LabTables(const uint16_t *start)
        : linear(start), roots(linear + 256), y(roots + 3072), fy(y + 256), encoded(fy + 256) {}

    /* f of a share of the white, the sum of three weighted colours without gamma. */
    int32_t root(const int32_t *weights, int32_t red, int32_t green, int32_t blue) const {
        return roots[descaled<12>(weights[0] * red + weights[1] * green + weights[2] * blue)];
    }

    /* A level with gamma from three weighted shares of the white. */
    uint8_t color(const int32_t *weights, int32_t x, int32_t of_y, int32_t z) const {
        const int32_t sum = weights[0] * x + weights[1] * of_y + weights[2] * z;
        return static_cast<uint8_t>(encoded[within(descaled<14>(sum), 0, 4095)]);
    }
};

constexpr int32_t TO_XYZ[3][3] = {{1777, 1541, 778}, {871, 2929, 296}, {73, 448, 3575}};
constexpr int32_t TO_RGB[3][3] = {{12615, -6296, -2223}, {-3773, 7684, 185}, {217, -836, 4715}};

/* The inverse of f in 2**-14; divisions of integers drop what is left, as in OpenCV. */
inline int32_t share_of_root(int32_t root) {
    return root > 3390 ? ((root * root >> 14) * root) >> 14 : root * 108 / 841 - 290;
}

/* Set out (n_images, n) to L* of planes. */
template <class Level>
int find_lightness(Planes<Level> planes, Array<const uint16_t> tables, Array<Level> out) {
    const LabTables lab(tables.start);
    const ptrdiff_t n = planes.shape[1], n_channels = planes.shape[0] / out.shape[0];
    for (ptrdiff_t image = 0; image < out.shape[0]; ++image) {
        const auto x = rgb_of(planes.start, image, n_channels, n);
        Level *found = out.row(image);
        for (ptrdiff_t i = 0; i < n; ++i) {
            const int32_t r = lab.linear[x.red[i]], g = lab.linear[x.green[i]];
            const int32_t fy = lab.root(TO_XYZ[1], r, g, lab.linear[x.blue[i]]);
            found[i] = static_cast<Level>(within(descaled<15>(fy * 296 - 1336934), 0, 255));
        }
    }
    return DONE;
}

/* The colours of a mapped lightness, with the a* and b* that they had. */
template <class Level>
int follow_in_lab(Planes<Level> planes, Planes<Level>, Planes<Level> mapped,
                  Array<const uint16_t> tables, Array<Level> out) {
    const LabTables lab(tables.start);
    const ptrdiff_t n = planes.shape[1], n_channels = planes.shape[0] / mapped.shape[0];
    for (ptrdiff_t image = 0; image < mapped.shape[0]; ++image) {
        const auto x = rgb_of(planes.start, image, n_channels, n);
        const auto colors = rgb_of(out.start, image, n_channels, n);
        const Level *levels = mapped.row(image);
        for (ptrdiff_t i = 0; i < n; ++i) {
            const int32_t r = lab.linear[x.red[i]], g = lab.linear[x.green[i]],
                          b = lab.linear[x.blue[i]];
            const int32_t fx = lab.root(TO_XYZ[0], r, g, b), fy = lab.root(TO_XYZ[1], r, g, b),
                          fz = lab.root(TO_XYZ[2], r, g, b);
            const int32_t a_star = within(descaled<15>(500 * (fx - fy)) + 128, 0, 255);
            const int32_t b_star = within(descaled<15>(200 * (fy - fz)) + 128, 0, 255);
            const int32_t y = lab.y[levels[i]], root = lab.fy[levels[i]];
            const int32_t of_x = share_of_root(root + ((a_star * 268435 + 128) >> 13) - 4194);
            const int32_t of_z = share_of_root(root - ((b_star * 41943 + 16) >> 9) + 10484);
            colors.red[i] = lab.color(TO_RGB[0], of_x, y, of_z);
            colors.green[i] = lab.color(TO_RGB[1], of_x, y, of_z);
            colors.blue[i] = lab.color(TO_RGB[2], of_x, y, of_z);
        }
    }
    return DONE;
}

/* CIELAB, between NumPy's powers ------------------------------------------------------------- */

/* Pixels are numbered through all images: call run(image, offset in it, position, count) for those
 * from first on. */
template <class Run>
void each_image(ptrdiff_t first, ptrdiff_t n, ptrdiff_t n_pixels, const Run &run) {
    for (ptrdiff_t done = 0, count = 0; done < n; done += count) {
        const ptrdiff_t offset = (first + done) % n_pixels;
        count = least(n - done, n_pixels - offset);
        run((first + done) / n_pixels, offset, done, count);
    }
}

/* Set out (3, n) to set(colour, what is there) for the pixels of images (n_images, c, n_pixels). */
template <class Pixel, class Set>
int set_colors(const Array<const Pixel> &images, ptrdiff_t first, const Array<double> &out,
               const Set &set) {
    const ptrdiff_t n_pixels = images.shape[2], n_channels = images.shape[1];
    each_image(first, out.shape[1], n_pixels,
               [=](ptrdiff_t image, ptrdiff_t offset, ptrdiff_t position, ptrdiff_t n) {
                   for (ptrdiff_t c = 0; c < 3; ++c) {
                       const Pixel *x = images.start + (image * n_channels + c) * n_pixels + offset;
                       double *found = out.row(c) + position;
                       for (ptrdiff_t i = 0; i < n; ++i)
                           found[i] = set(x[i], found[i]);
                   }
               });
    return DONE;
}

/* Levels without gamma, by a table. */
template <class Level>
int look_up_colors(Array<const Level> images, Array<const double> table, ptrdiff_t first,
                   Array<double> out) {
    const double *linear = table.start;
    return set_colors(images, first, out, [=](Level level, double) { return linear[level]; });
}

/* The numbers whose power is a colour without gamma. */
template <class Real>
int find_gamma_bases(Array<const Real> images, ptrdiff_t first, Array<double> out) {
    return set_colors(images, first, out, [](double color, double) {
        return (color + 0.055) / 1.055;
    });
}

/* Colours without gamma in the place of these powers. */
template <class Real>
int decode_colors(Array<const Real> images, ptrdiff_t first, Array<double> powers) {
    return set_colors(images, first, powers, [](double color, double power) {
        return color > 0.04045 ? power : color / 12.92;
    });
}

inline double weighted(const double *weights, double a, double b, double c) {
    return (weights[0] * a + weights[1] * b) + weights[2] * c;
}

/* Set out (k, n) to sums of colours (3, n) by weights (k, 3). */
template <class Real>
int weigh_colors(Array<const Real> colors, Array<const double> weights, Array<double> out) {
    for (ptrdiff_t k = 0; k < out.shape[0]; ++k)
        for (ptrdiff_t i = 0; i < out.shape[1]; ++i)
            out.row(k)[i] = weighted(weights.row(k), colors.row(0)[i], colors.row(1)[i],
                                     colors.row(2)[i]);
    return DONE;
}

inline double lab_root(double share, double root) {
    return share > 0.008856 ? root : 7.787 * share + 16.0 / 116.0;
}

inline double lab_share(double root) {
    return root > 0.2068966 ? root * root * root : (root - 16.0 / 116.0) / 7.787;
}

/* The double in [0, 1] next to a value; NaN stays. */
inline double within_unit(double value) {
    const double positive = value < 0.0 ? 0.0 : value;
    return positive > 1.0 ? 1.0 : positive;
}

/* L* / 100 in the place of the cube roots of shares. */
template <class Real> int find_lightness_of_roots(Array<const Real> shares, Array<double> roots) {
    for (ptrdiff_t i = 0; i < shares.shape[1]; ++i)
        roots[i] = within_unit(1.16 * lab_root(shares[i], roots[i]) - 0.16);
    return DONE;
}

/* Set out (3, n) to red, green and blue without gamma, from the shares X and Z (2, n), their cube
 * roots, and L* / 100 before and after. */
template <class Real>
int find_linear_colors(Array<const Real> shares, Array<const double> roots,
                       Array<const double> before, Array<const double> after,
                       Array<const double> rgb_of_xyz, Array<double> out) {
    for (ptrdiff_t i = 0; i < out.shape[1]; ++i) {
        const double fy = before[i] / 1.16 + 0.16 / 1.16, fy_out = after[i] / 1.16 + 0.16 / 1.16;
        const double fx = lab_root(shares.row(0)[i], roots.row(0)[i]) + (fy_out - fy);
        const double fz = lab_root(shares.row(1)[i], roots.row(1)[i]) + (fy_out - fy);
        const double x = lab_share(fx) * 0.95047, y = lab_share(fy_out);
        const double z = lab_share(fz < 0.0 ? 0.0 : fz) * 1.08883;
        for (ptrdiff_t c = 0; c < 3; ++c)
            out.row(c)[i] = weighted(rgb_of_xyz.row(c), x, y, z);
    }
    return DONE;
}

/* Write colours (3, n) with gamma, from 0 to top, to the pixels of out (n_images, c, n_pixels). */
template <class Real>
int encode_colors(Array<const Real> linear, Array<const double> powers, double top,
                  ptrdiff_t first, ptrdiff_t n_channels, ptrdiff_t n_pixels, Output out) {
    each_image(first, linear.shape[1], n_pixels,
               [=](ptrdiff_t image, ptrdiff_t offset, ptrdiff_t position, ptrdiff_t n) {
                   for (ptrdiff_t c = 0; c < 3; ++c) {
                       const Real *x = linear.row(c) + position;
                       const double *power = powers.row(c) + position;
                       const Output there = out.from((image * n_channels + c) * n_pixels + offset);
                       by_type(there, [=](auto *colors) {
                           using Value = std::remove_pointer_t<decltype(colors)>;
                           for (ptrdiff_t i = 0; i < n; ++i) {
                               const double color =
                                   x[i] > 0.0031308 ? 1.055 * power[i] - 0.055 : x[i] * 12.92;
                               colors[i] = as_value<Value>(within_unit(color) * top);
                           }
                       });
                   }
               });
    return DONE;
}

} // namespace histeq::HISTEQ_TARGET
