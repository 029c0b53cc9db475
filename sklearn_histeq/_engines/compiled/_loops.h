/* The hot loops of the kernels, in portable C: a template that _simd.h includes once for each
 * instruction set and type of pixel. It defines FUNCTION(name) and TARGET, and REAL or LEVEL where
 * the loop depends on the type of the pixels. No allocation, no checks, no Python.
 *
 * A grid is a row of increasing thresholds t[0..m], equally spaced but for rounding; the interval
 * of a pixel x is the largest j with t[j] <= x. It is found exactly: u = (x - t[0]) * scale
 * estimates it within tol < 1/4, so only a pixel whose u lies closer than tol to a whole number r
 * needs a compare with t[r].
 */
#if defined(REAL)

/* The intervals of n pixels, clamped to [low, high] = [t[0], t[m]]; NaN is put into the first. */
static TARGET void FUNCTION(locate_exactly)(const REAL *x, ptrdiff_t n, REAL low, REAL high,
                                            REAL scale, const REAL *t, int32_t *interval) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        REAL c = x[i] > low ? x[i] : low;
        c = c < high ? c : high;
        const int32_t nearest = (int32_t)((c - low) * scale + (REAL)0.5);
        interval[i] = nearest - (c < t[nearest]);
    }
}

/* The same, by the estimate alone where no pixel of a chunk is near a threshold. */
static TARGET void FUNCTION(locate)(const REAL *x, ptrdiff_t n, REAL low, REAL high, REAL scale,
                                    REAL tol, int32_t m, const REAL *t, int32_t *interval) {
    ptrdiff_t i = 0;
#ifdef VECTOR
    const VECTOR vlow = V(set1)(low), vhigh = V(set1)(high), vscale = V(set1)(scale),
                 vtol = V(set1)(tol);
    const VECTOR first = V(set1)((REAL)0), last = V(set1)((REAL)m), minus = V(set1)((REAL)-0.0);
    for (; i + CHUNK <= n; i += CHUNK) {
        VECTOR near = V(setzero)();
        for (int j = 0; j < CHUNK; j += LANES) {
            const VECTOR c = V(min)(V(max)(V(loadu)(x + i + j), vlow), vhigh);
            const VECTOR u = V(mul)(V(sub)(c, vlow), vscale);
            const VECTOR nearest = V(round)(u, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            const VECTOR distance = V(andnot)(minus, V(sub)(u, nearest));
            /* the outer thresholds bound all pixels: no compare is needed there */
            const VECTOR inner =
                V (and)(V(cmp)(nearest, first, _CMP_NEQ_OQ), V(cmp)(nearest, last, _CMP_NEQ_OQ));
            near = V(or)(near, V (and)(inner, V(cmp)(distance, vtol, _CMP_LT_OQ)));
            STORE_TRUNCATED(interval + i + j, u);
        }
        if (V(movemask)(near))
            FUNCTION(locate_exactly)(x + i, CHUNK, low, high, scale, t, interval + i);
    }
#endif
    (void)tol, (void)m;
    FUNCTION(locate_exactly)(x + i, n - i, low, high, scale, t, interval + i);
}

/* Extend [*low, *high] by all pixels but NaN; returns whether there is a NaN. */
static TARGET int FUNCTION(extend_range)(const REAL *x, ptrdiff_t n, REAL *low, REAL *high) {
    REAL a = *low, b = *high;
    int missing = 0;
    ptrdiff_t i = 0;
#ifdef VECTOR
    if (n >= 4 * LANES) {
        VECTOR a0 = V(set1)(a), a1 = a0, a2 = a0, a3 = a0, b0 = V(set1)(b), b1 = b0, b2 = b0,
               b3 = b0;
        VECTOR nan = V(setzero)();
        REAL lanes[LANES];
        for (; i + 4 * LANES <= n; i += 4 * LANES) {
            const VECTOR x0 = V(loadu)(x + i), x1 = V(loadu)(x + i + LANES);
            const VECTOR x2 = V(loadu)(x + i + 2 * LANES), x3 = V(loadu)(x + i + 3 * LANES);
            /* min(x, a) is a where x is NaN; the order of the arguments matters */
            a0 = V(min)(x0, a0), a1 = V(min)(x1, a1), a2 = V(min)(x2, a2), a3 = V(min)(x3, a3);
            b0 = V(max)(x0, b0), b1 = V(max)(x1, b1), b2 = V(max)(x2, b2), b3 = V(max)(x3, b3);
            nan = V(or)(nan, V(or)(V(cmp)(x0, x1, _CMP_UNORD_Q), V(cmp)(x2, x3, _CMP_UNORD_Q)));
        }
        V(storeu)(lanes, V(min)(V(min)(a0, a1), V(min)(a2, a3)));
        for (int j = 0; j < LANES; ++j)
            a = lanes[j] < a ? lanes[j] : a;
        V(storeu)(lanes, V(max)(V(max)(b0, b1), V(max)(b2, b3)));
        for (int j = 0; j < LANES; ++j)
            b = lanes[j] > b ? lanes[j] : b;
        missing = V(movemask)(nan) != 0;
    }
#endif
    for (; i < n; ++i) {
        a = x[i] < a ? x[i] : a;
        b = x[i] > b ? x[i] : b;
        missing |= x[i] != x[i];
    }
    *low = a, *high = b;
    return missing;
}

/* Values slope * (x - x0) + y0 of the segments of n pixels; below low the value at low, NaN stays.
 * Pixels of interval j lie in segment (j + halves) >> halves. */
static TARGET void FUNCTION(interpolate)(const REAL *x, const int32_t *interval, ptrdiff_t n,
                                         int halves, REAL low, const segment *segments,
                                         double *out) {
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256d bound = _mm256_set1_pd((double)low);
    for (; i + 4 <= n; i += 4) {
        /* rows (x0, slope, y0, unused) to columns */
        const __m256d r0 = _mm256_loadu_pd(&segments[(interval[i] + halves) >> halves].x0);
        const __m256d r1 = _mm256_loadu_pd(&segments[(interval[i + 1] + halves) >> halves].x0);
        const __m256d r2 = _mm256_loadu_pd(&segments[(interval[i + 2] + halves) >> halves].x0);
        const __m256d r3 = _mm256_loadu_pd(&segments[(interval[i + 3] + halves) >> halves].x0);
        const __m256d even01 = _mm256_unpacklo_pd(r0, r1), even23 = _mm256_unpacklo_pd(r2, r3);
        const __m256d odd01 = _mm256_unpackhi_pd(r0, r1), odd23 = _mm256_unpackhi_pd(r2, r3);
        const __m256d x0 = _mm256_permute2f128_pd(even01, even23, 0x20);
        const __m256d y0 = _mm256_permute2f128_pd(even01, even23, 0x31);
        const __m256d slope = _mm256_permute2f128_pd(odd01, odd23, 0x20);
        const __m256d v =
            _mm256_max_pd(bound, LOAD4(x + i)); /* NaN stays: it is the second argument */
        _mm256_storeu_pd(out + i, _mm256_add_pd(_mm256_mul_pd(slope, _mm256_sub_pd(v, x0)), y0));
    }
#endif
    for (; i < n; ++i) {
        const segment *s = &segments[(interval[i] + halves) >> halves];
        const double v = x[i] < low ? (double)low : (double)x[i];
        out[i] = s->slope * (v - s->x0) + s->y0;
    }
}

#elif defined(LEVEL)

/* Add the pixels of each level - low to four tables, stride apart (0: one table, where memory
 * counts more). Neighbours go to different tables: of equal pixels, one store need not wait for the
 * one before. */
static TARGET void FUNCTION(count)(const LEVEL *x, ptrdiff_t n, int32_t low, int32_t *counts,
                                   ptrdiff_t stride) {
    int32_t *c0 = counts - low, *c1 = c0 + stride, *c2 = c1 + stride, *c3 = c2 + stride;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) {
        ++c0[x[i]], ++c1[x[i + 1]], ++c2[x[i + 2]], ++c3[x[i + 3]];
        ++c0[x[i + 4]], ++c1[x[i + 5]], ++c2[x[i + 6]], ++c3[x[i + 7]];
    }
    for (; i < n; ++i)
        ++c0[x[i]];
}

/* Add the pixels of each level - low where the mask is true; no counted pixel lies below low. */
static TARGET void FUNCTION(count_masked)(const LEVEL *x, const uint8_t *mask, ptrdiff_t n,
                                          int32_t low, int32_t *counts) {
    for (ptrdiff_t i = 0; i < n; ++i)
        if (mask[i])
            ++counts[x[i] - low];
}

/* Extend [*low, *high] by the pixels where the mask (or NULL) is true. */
static TARGET void FUNCTION(extend_range)(const LEVEL *x, const uint8_t *mask, ptrdiff_t n,
                                          int32_t *low, int32_t *high) {
    LEVEL a = (LEVEL)-1, b = 0;
    int any = mask == NULL;
    if (mask == NULL) {
        for (ptrdiff_t i = 0; i < n; ++i) {
            a = x[i] < a ? x[i] : a;
            b = x[i] > b ? x[i] : b;
        }
    } else {
        for (ptrdiff_t i = 0; i < n; ++i) {
            const LEVEL in = (LEVEL) - (mask[i] != 0); /* all ones where counted */
            const LEVEL p = x[i] | (LEVEL)~in, q = x[i] & in;
            a = p < a ? p : a;
            b = q > b ? q : b;
            any |= mask[i];
        }
    }
    if (any) {
        *low = a < *low ? a : *low;
        *high = b > *high ? b : *high;
    }
}

/* counts of the level of each pixel, clamped to [low, high]; the gaps are counts + a level - low.
 */
static TARGET void FUNCTION(look_up_counts)(const LEVEL *x, ptrdiff_t n, int32_t low, int32_t high,
                                            const int32_t *counts, int32_t *out) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        int32_t level = x[i];
        level = level > low ? level : low;
        level = level < high ? level : high;
        out[i] = counts[level - low];
    }
}

#define DEFINE_LOOK_UP(SUFFIX, OUT)                                                                \
    /* table[level - low] of each pixel, its level clamped to [low, high]. */                      \
    static TARGET void FUNCTION(look_up_##SUFFIX)(const LEVEL *x, ptrdiff_t n, int32_t low,        \
                                                  int32_t high, const OUT *table, OUT *out) {      \
        for (ptrdiff_t i = 0; i < n; ++i) {                                                        \
            int32_t level = x[i];                                                                  \
            level = level > low ? level : low;                                                     \
            level = level < high ? level : high;                                                   \
            out[i] = table[level - low];                                                           \
        }                                                                                          \
    }                                                                                              \
    /* table[x] of each pixel, the table being one of all levels. */                               \
    static TARGET void FUNCTION(map_##SUFFIX)(const LEVEL *x, ptrdiff_t n, const OUT *table,       \
                                              OUT *out) {                                          \
        ptrdiff_t i = 0;                                                                           \
        for (; i + 8 <= n; i += 8)                                                                 \
            for (int j = 0; j < 8; ++j)                                                            \
                out[i + j] = table[x[i + j]];                                                      \
        for (; i < n; ++i)                                                                         \
            out[i] = table[x[i]];                                                                  \
    }

DEFINE_LOOK_UP(u8, uint8_t)
DEFINE_LOOK_UP(u16, uint16_t)
DEFINE_LOOK_UP(f32, float)
DEFINE_LOOK_UP(f64, double)
#undef DEFINE_LOOK_UP

#else

/* Add pixels by their interval to four tables, stride apart (0: one table). */
static TARGET void FUNCTION(count_intervals)(const int32_t *interval, ptrdiff_t n, int32_t *counts,
                                             ptrdiff_t stride) {
    int32_t *c0 = counts, *c1 = c0 + stride, *c2 = c1 + stride, *c3 = c2 + stride;
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4)
        ++c0[interval[i]], ++c1[interval[i + 1]], ++c2[interval[i + 2]], ++c3[interval[i + 3]];
    for (; i < n; ++i)
        ++c0[interval[i]];
}

/* Write values as the output type; single: they are single precision by convention, and rounded so
 * first. To integers, rint(value / top * largest): adding and subtracting MAGIC_64 rounds half to
 * even. */
#define ROUNDED(i) (single ? (double)(float)values[i] : values[i])

static TARGET void FUNCTION(store_f64)(const double *values, ptrdiff_t n, int single, double top,
                                       double *out) {
    (void)top;
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = ROUNDED(i);
}

static TARGET void FUNCTION(store_f32)(const double *values, ptrdiff_t n, int single, double top,
                                       float *out) {
    (void)top, (void)single;
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = (float)values[i];
}

#define DEFINE_STORE(SUFFIX, OUT, LARGEST)                                                         \
    static TARGET void FUNCTION(store_##SUFFIX)(const double *values, ptrdiff_t n, int single,     \
                                                double top, OUT *out) {                            \
        for (ptrdiff_t i = 0; i < n; ++i) {                                                        \
            const double v = ROUNDED(i) / top * LARGEST;                                           \
            const double positive = v > 0.0 ? v : 0.0; /* NaN too: the caller refuses it */        \
            const double clipped = positive < LARGEST ? positive : LARGEST;                        \
            out[i] = (OUT)(int32_t)((clipped + MAGIC_64) - MAGIC_64);                              \
        }                                                                                          \
    }

DEFINE_STORE(u8, uint8_t, 255.0)
DEFINE_STORE(u16, uint16_t, 65535.0)
#undef DEFINE_STORE
#undef ROUNDED

/* Add four tables of n counts, n apart, into the first. */
static TARGET void FUNCTION(add_fourfold)(int32_t *counts, ptrdiff_t n) {
    const int32_t *c1 = counts + n, *c2 = c1 + n, *c3 = c2 + n;
    for (ptrdiff_t i = 0; i < n; ++i)
        counts[i] += (c1[i] + c2[i]) + c3[i];
}

/* Replace counts by their running sums. */
static TARGET void FUNCTION(cumulate)(int32_t *counts, ptrdiff_t n) {
    int32_t total = 0;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256i last = _mm256_set1_epi32(7), middle = _mm256_setr_epi32(0, 0, 0, 0, 3, 3, 3, 3);
    const __m256i upper = _mm256_setr_epi32(0, 0, 0, 0, -1, -1, -1, -1);
    __m256i before = _mm256_setzero_si256();
    for (; i < n / 8 * 8; i += 8) {
        __m256i sum = _mm256_loadu_si256((const __m256i *)(counts + i));
        sum = _mm256_add_epi32(sum, _mm256_slli_si256(sum, 4)); /* within each half */
        sum = _mm256_add_epi32(sum, _mm256_slli_si256(sum, 8));
        sum = _mm256_add_epi32(sum,
                               _mm256_and_si256(upper, _mm256_permutevar8x32_epi32(sum, middle)));
        const __m256i all = _mm256_permutevar8x32_epi32(sum, last);
        _mm256_storeu_si256((__m256i *)(counts + i), _mm256_add_epi32(sum, before));
        before = _mm256_add_epi32(before, all);
    }
    total = _mm256_cvtsi256_si32(before);
#endif
    for (; i < n; ++i)
        counts[i] = total += counts[i];
}

/* OpenCV's table of 256 from cumulated counts: rint(float32(cum - c0) * scale), 0 for no more than
 * c0. */
static TARGET void FUNCTION(opencv_levels)(const int32_t *cumulative, int32_t c0, float scale,
                                           uint8_t *table) {
    for (int i = 0; i < 256; ++i) {
        const int32_t above = cumulative[i] > c0 ? cumulative[i] - c0 : 0;
        table[i] =
            (uint8_t)(int32_t)(((float)above * scale + MAGIC_32) - MAGIC_32); /* at most 255.5 */
    }
}

/* Pillow's table of 256 from cumulated counts: min(255, (cum_before + step // 2) // step). */
static TARGET void FUNCTION(pillow_levels)(const int32_t *cumulative, double half, double step,
                                           uint8_t *table) {
    table[0] = (uint8_t)(int32_t)(half / step);
    for (int i = 1; i < 256; ++i) {
        /* a quotient of whole numbers below 2**32 is never rounded up to a whole number */
        const double quotient = ((double)cumulative[i - 1] + half) / step;
        table[i] = (uint8_t)(int32_t)(quotient < 255.0 ? quotient : 255.0);
    }
}

/* The CDF of cumulated counts. */
static TARGET void FUNCTION(divide)(const int32_t *cumulative, ptrdiff_t n, double n_pixels,
                                    double *cdf) {
    for (ptrdiff_t i = 0; i < n; ++i)
        cdf[i] = (double)cumulative[i] / n_pixels;
}

#endif
