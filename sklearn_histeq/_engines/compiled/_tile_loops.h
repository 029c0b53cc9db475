/* The hot loops of CLAHE, in portable C: a template that _tiles.h includes once for each instruction
 * set. It defines FUNCTION(name) and TARGET. No allocation, no checks, no Python.
 *
 * Counts and tables of the tiles of one row lie side by side, entry [code * stride + tile], so that
 * eight tiles are worked on at once, and a pixel finds the values of two neighbours in one place.
 * A code is a level, the rank of a level, or a bin.
 */

/* OpenCV's tables of n_codes levels (NULL: 0, 1, ...) for the n_tiles (a multiple of EIGHT) of a
 * row. What is clipped at the limit is shared out; of the rest r, levels 0, s, 2s, ... get one more,
 * with s = n_levels // r. (v + 1/2) / s is never rounded across a whole number. */
static TARGET void FUNCTION(opencv_tables)(const int32_t *counts, const int32_t *levels,
                                           ptrdiff_t n_codes, ptrdiff_t n_tiles, int32_t limit,
                                           int32_t n_levels, float scale, ptrdiff_t stride,
                                           uint16_t *tables) {
    for (ptrdiff_t t = 0; t < n_tiles; t += EIGHT) {
        int32_t excess[EIGHT] = {0}, share[EIGHT], rest[EIGHT];
        float inverse[EIGHT];
        for (ptrdiff_t r = 0; r < n_codes; ++r)
            EACH_TILE(j) {
                const int32_t above = counts[r * n_tiles + t + j] - limit;
                excess[j] += above > 0 ? above : 0;
            }
        EACH_TILE(j) {
            share[j] = excess[j] / n_levels, rest[j] = excess[j] % n_levels;
            inverse[j] = rest[j] ? 1.0f / (float)(n_levels / rest[j]) : 0.0f;
        }
#ifdef HISTEQ_AVX2
        const __m256i shares = LOAD_INTS(share), rests = LOAD_INTS(rest), one = _mm256_set1_epi32(1);
        const __m256i limits = _mm256_set1_epi32(limit), tops = _mm256_set1_epi32(n_levels - 1);
        const __m256 inverses = _mm256_loadu_ps(inverse), scales = _mm256_set1_ps(scale);
        __m256i sums = _mm256_setzero_si256();
        for (ptrdiff_t r = 0; r < n_codes; ++r) {
            const int32_t level = levels ? levels[r] : (int32_t)r;
            const __m256 middle = _mm256_set1_ps((float)level + 0.5f);
            const __m256i steps =
                _mm256_add_epi32(_mm256_cvttps_epi32(_mm256_mul_ps(middle, inverses)), one);
            const __m256i even = _mm256_mullo_epi32(shares, _mm256_set1_epi32(level + 1));
            sums = _mm256_add_epi32(sums,
                                    _mm256_min_epi32(LOAD_INTS(counts + r * n_tiles + t), limits));
            const __m256i all = _mm256_add_epi32(_mm256_add_epi32(sums, even),
                                                 _mm256_min_epi32(steps, rests));
            /* rounds half to even */
            const __m256 value = _mm256_round_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(all), scales),
                                                 _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            const __m256i whole = _mm256_min_epi32(_mm256_cvttps_epi32(value), tops);
            _mm_storeu_si128((__m128i *)(void *)(tables + r * stride + t),
                             _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                              _mm256_extracti128_si256(whole, 1)));
        }
#else
        int32_t sum[EIGHT] = {0};
        const float top = (float)(n_levels - 1);
        for (ptrdiff_t r = 0; r < n_codes; ++r) {
            const int32_t level = levels ? levels[r] : (int32_t)r;
            const float middle = (float)level + 0.5f;
            EACH_TILE(j) {
                const int32_t count = counts[r * n_tiles + t + j];
                const int32_t steps = (int32_t)(middle * inverse[j]) + 1;
                sum[j] += count < limit ? count : limit;
                const int32_t cumulative =
                    sum[j] + share[j] * (level + 1) + (steps < rest[j] ? steps : rest[j]);
                const float value = ((float)cumulative * scale + MAGIC_32) - MAGIC_32;
                tables[r * stride + t + j] = (uint16_t)(int32_t)(value < top ? value : top);
            }
        }
#endif
    }
}

/* at = code * stride + place, the code of a pixel being itself. */
static TARGET void FUNCTION(index_bytes)(const uint8_t *x, ptrdiff_t n, int32_t stride,
                                         const int32_t *places, int32_t *at) {
    for (ptrdiff_t i = 0; i < n; ++i)
        at[i] = (int32_t)x[i] * stride + places[i];
}

/* The same, the codes of pixels being given, times stride, in a table. */
static TARGET void FUNCTION(index_codes)(const uint16_t *x, ptrdiff_t n, int32_t stride,
                                         const int32_t *places, int32_t *at) {
    for (ptrdiff_t i = 0; i < n; ++i)
        at[i] = (int32_t)x[i] * stride + places[i];
}

/* OpenCV's blend of a row of pixels, rounded half to even: (a * (1 - fx) + b * fx) * (1 - fy) + (c *
 * (1 - fx) + d * fx) * fy in single precision; a and b are up[at], up[at + 1], c and d down's; gx is
 * 1 - fx. */
static TARGET void FUNCTION(blend_opencv)(const uint16_t *up, const uint16_t *down,
                                          const int32_t *at, const float *gx, const float *fx,
                                          float fy, ptrdiff_t n, int32_t *out) {
    const float gy = 1.0f - fy;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256 above = _mm256_set1_ps(gy), below = _mm256_set1_ps(fy);
    const __m256i low = _mm256_set1_epi32(0xffff);
    for (; i + 8 <= n; i += 8) {
        const __m256 left = _mm256_loadu_ps(gx + i), right = _mm256_loadu_ps(fx + i);
        const __m256i u = load_pairs(up, at + i), d = load_pairs(down, at + i);
        const __m256 upper =
            _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(u, low)), left),
                          _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(u, 16)), right));
        const __m256 lower =
            _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(d, low)), left),
                          _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(d, 16)), right));
        const __m256 v = _mm256_add_ps(_mm256_mul_ps(upper, above), _mm256_mul_ps(lower, below));
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_cvttps_epi32(_mm256_round_ps(
                                v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)));
    }
#endif
    for (; i < n; ++i) {
        const uint16_t *u = up + at[i], *d = down + at[i];
        const float v = ((float)u[0] * gx[i] + (float)u[1] * fx[i]) * gy +
                        ((float)d[0] * gx[i] + (float)d[1] * fx[i]) * fy;
        out[i] = (int32_t)((v + MAGIC_32) - MAGIC_32);
    }
}

static TARGET void FUNCTION(narrow_to_u8)(const int32_t *values, ptrdiff_t n, uint8_t *out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = (uint8_t)values[i];
}

static TARGET void FUNCTION(narrow_to_u16)(const int32_t *values, ptrdiff_t n, uint16_t *out) {
    for (ptrdiff_t i = 0; i < n; ++i)
        out[i] = (uint16_t)values[i];
}

/* Clip counts at a limit; each bin is offered an equal share of the excess, and those that come
 * within a share of the limit are filled up to it. Sets what remains of the excess, and how many
 * counts are under the limit. */
static TARGET void FUNCTION(clip_and_share)(int32_t *counts, ptrdiff_t n_bins, int32_t limit,
                                            int32_t *excess, int32_t *under) {
    int32_t sum = 0, taken = 0, n_under = 0;
    for (ptrdiff_t i = 0; i < n_bins; ++i) {
        const int32_t above = counts[i] - limit;
        sum += above > 0 ? above : 0;
        counts[i] = above > 0 ? limit : counts[i];
    }
    const int32_t share = sum / (int32_t)n_bins, upper = limit - share;
    for (ptrdiff_t i = 0; i < n_bins; ++i) {
        const int32_t before = counts[i], shared = before < upper ? before + share : before;
        counts[i] = shared >= upper ? limit : shared;
        taken += counts[i] - before;
        n_under += counts[i] < limit;
    }
    *excess = sum - taken, *under = n_under;
}

/* scikit-image's tables of the n_tiles (a multiple of EIGHT) of a row: counts cumulated, times
 * scale, at most top, truncated. */
static TARGET void FUNCTION(skimage_tables)(const int32_t *counts, ptrdiff_t n_bins,
                                            ptrdiff_t n_tiles, double scale, double top,
                                            ptrdiff_t stride, float *tables) {
    for (ptrdiff_t t = 0; t < n_tiles; t += EIGHT) {
        int32_t sum[EIGHT] = {0};
        for (ptrdiff_t b = 0; b < n_bins; ++b)
            EACH_TILE(j) {
                sum[j] += counts[b * n_tiles + t + j];
                const double value = (double)sum[j] * scale;
                tables[b * stride + t + j] = (float)(int32_t)(value < top ? value : top);
            }
    }
}

/* scikit-image's blend of a row of pixels, truncated: the values at the four tiles, each times the
 * product of its shares in double precision, are added up in single precision. */
static TARGET void FUNCTION(blend_skimage)(const float *up, const float *down, const int32_t *at,
                                           const double *shares, double fy, ptrdiff_t n,
                                           int32_t *out) {
    const double gy = 1.0 - fy;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m256d y = _mm256_setr_pd(gy, gy, fy, fy);
    for (; i + 4 <= n; i += 4) {
        __m128 w[4];
        for (int j = 0; j < 4; ++j) {
            const __m256d v = _mm256_cvtps_pd(LOAD_PAIRS(up + at[i + j], down + at[i + j]));
            const __m256d x =
                _mm256_broadcast_pd((const __m128d *)(const void *)(shares + 2 * (i + j)));
            w[j] = _mm256_cvtpd_ps(_mm256_mul_pd(v, _mm256_mul_pd(x, y)));
        }
        _MM_TRANSPOSE4_PS(w[0], w[1], w[2], w[3]);
        const __m128 sum = _mm_add_ps(_mm_add_ps(_mm_add_ps(w[0], w[1]), w[2]), w[3]);
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm_cvttps_epi32(sum));
    }
#endif
    for (; i < n; ++i) {
        const float *u = up + at[i], *d = down + at[i];
        const double *s = shares + 2 * i;
        float sum = (float)((double)u[0] * (s[0] * gy));
        sum += (float)((double)u[1] * (s[1] * gy));
        sum += (float)((double)d[0] * (s[0] * fy));
        sum += (float)((double)d[1] * (s[1] * fy));
        out[i] = (int32_t)sum;
    }
}

/* Add to over and sums the number of bins, of EIGHT tiles, whose count is at least the tile's
 * threshold, and their counts. */
static TARGET void FUNCTION(sum_over)(const int32_t *counts, ptrdiff_t n_bins, ptrdiff_t n_tiles,
                                      const int32_t *thresholds, int32_t *over, int32_t *sums) {
    int32_t n[EIGHT] = {0}, s[EIGHT] = {0};
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        EACH_TILE(j) {
            const int32_t count = counts[b * n_tiles + j];
            const int32_t is_over = -(count >= thresholds[j]); /* all ones, or none */
            n[j] -= is_over, s[j] += count & is_over;
        }
    EACH_TILE(j)
        over[j] = n[j], sums[j] = s[j];
}

/* The CDFs of EIGHT tiles, of the counts max(min(count + d, limit), least), cumulated, divided by
 * n_pixels; the last value is 1. */
static TARGET void FUNCTION(clipped_cdfs)(const int32_t *counts, ptrdiff_t n_bins,
                                          ptrdiff_t n_tiles, const double *d, const double *limit,
                                          const double *least, const double *n_pixels,
                                          double *tables) {
    double sum[EIGHT] = {0};
    for (ptrdiff_t b = 0; b < n_bins; ++b)
        EACH_TILE(j) {
            double count = (double)counts[b * n_tiles + j] + d[j];
            count = count < limit[j] ? count : limit[j];
            sum[j] += count > least[j] ? count : least[j];
            const double share = sum[j] / n_pixels[j];
            tables[b * n_tiles + j] = share < 1.0 ? share : 1.0;
        }
    EACH_TILE(j)
        tables[(n_bins - 1) * n_tiles + j] = 1.0;
}

/* The values of n_levels levels in the CDFs of n_tiles tiles: a level lies the share weights beyond
 * the point below. */
static TARGET void FUNCTION(level_values)(const double *cdfs, ptrdiff_t n_tiles,
                                          ptrdiff_t n_levels, const int32_t *below,
                                          const double *weights, double *values) {
    for (ptrdiff_t k = 0; k < n_levels; ++k) {
        const double *c = cdfs + below[k] * n_tiles, w = weights[k];
        for (ptrdiff_t t = 0; t < n_tiles; t += EIGHT)
            EACH_TILE(j)
                values[k * n_tiles + t + j] = c[t + j] + w * (c[n_tiles + t + j] - c[t + j]);
    }
}

/* The package's own blend of a row of pixels: (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) *
 * c + fx * d); a and b are up[at], up[at + 1], c and d down's. */
static TARGET void FUNCTION(blend_levels)(const double *up, const double *down, const int32_t *at,
                                          const double *shares, double fy, ptrdiff_t n,
                                          double *out) {
    const double gy = 1.0 - fy;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m128d low = _mm_set1_pd(gy), high = _mm_set1_pd(fy);
    for (; i + 2 <= n; i += 2) {
        const __m256d w0 = _mm256_mul_pd(LOAD_FOUR(up + at[i], down + at[i]), LOAD_TWICE(shares + 2 * i));
        const __m256d w1 = _mm256_mul_pd(LOAD_FOUR(up + at[i + 1], down + at[i + 1]),
                                         LOAD_TWICE(shares + 2 * i + 2));
        const __m256d sums = _mm256_hadd_pd(w0, w1);
        _mm_storeu_pd(out + i, _mm_add_pd(_mm_mul_pd(low, _mm256_castpd256_pd128(sums)),
                                          _mm_mul_pd(high, _mm256_extractf128_pd(sums, 1))));
    }
#endif
    for (; i < n; ++i) {
        const double *u = up + at[i], *d = down + at[i], *s = shares + 2 * i;
        out[i] = gy * (s[0] * u[0] + s[1] * u[1]) + fy * (s[0] * d[0] + s[1] * d[1]);
    }
}

/* The same, a pixel's values being those at the point below, plus the share weights of the way to
 * the next, which is stride further on. */
static TARGET void FUNCTION(blend_points)(const double *up, const double *down, ptrdiff_t stride,
                                          const int32_t *at, const double *weights,
                                          const double *shares, double fy, ptrdiff_t n,
                                          double *out) {
    const double gy = 1.0 - fy;
    ptrdiff_t i = 0;
#ifdef HISTEQ_AVX2
    const __m128d low = _mm_set1_pd(gy), high = _mm_set1_pd(fy);
    for (; i + 2 <= n; i += 2) {
        __m256d w[2];
        for (int j = 0; j < 2; ++j) {
            const double *u = up + at[i + j], *d = down + at[i + j];
            const __m256d a = LOAD_FOUR(u, d), b = LOAD_FOUR(u + stride, d + stride);
            const __m256d weight = _mm256_broadcast_sd(weights + i + j);
            const __m256d v = _mm256_add_pd(a, _mm256_mul_pd(weight, _mm256_sub_pd(b, a)));
            w[j] = _mm256_mul_pd(v, LOAD_TWICE(shares + 2 * (i + j)));
        }
        const __m256d sums = _mm256_hadd_pd(w[0], w[1]);
        _mm_storeu_pd(out + i, _mm_add_pd(_mm_mul_pd(low, _mm256_castpd256_pd128(sums)),
                                          _mm_mul_pd(high, _mm256_extractf128_pd(sums, 1))));
    }
#endif
    for (; i < n; ++i) {
        const double *u = up + at[i], *d = down + at[i], *s = shares + 2 * i, w = weights[i];
        const double a = u[0] + w * (u[stride] - u[0]), b = u[1] + w * (u[stride + 1] - u[1]);
        const double c = d[0] + w * (d[stride] - d[0]), e = d[1] + w * (d[stride + 1] - d[1]);
        out[i] = gy * (s[0] * a + s[1] * b) + fy * (s[0] * c + s[1] * e);
    }
}

/* The bin of each pixel's half-interval, the point below it, and how far it is on the way to the
 * next; NaN stays. */
static TARGET void FUNCTION(weigh)(const double *x, const int32_t *intervals, ptrdiff_t n,
                                   const double *points, const double *ways, int32_t *below,
                                   double *weights) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        const int32_t point = ((intervals[i] + 1) >> 1) - 1, k = point > 0 ? point : 0;
        const double gone = x[i] - points[k];
        below[i] = k;
        weights[i] = (gone < 0.0 ? 0.0 : gone) / ways[k];
    }
}
