# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False, embedsignature=True
"""The compiled engine: fused typed loops over planes, without the GIL.

Every kernel takes contiguous planes, one a row, checks nothing and writes only to arrays that its
caller owns; `_engine.py` checks, aligns dtypes and allocates. What takes a step a pixel is in
_loops.h; here are the steps a plane: counts, CDF, transfer function. The bits are those of
skimage.exposure.equalize_hist, of the NumPy recipe, of cv2.equalizeHist and of
PIL.ImageOps.equalize. A plane for which that is not certain (REFER) is left to the reference.
"""

from libc.math cimport INFINITY, NAN, fabs, isinf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np


ctypedef fused level_t:
    uint8_t
    uint16_t

ctypedef fused real_t:
    float
    double

ctypedef fused pixel_t:
    uint8_t
    uint16_t
    float
    double

ctypedef fused out_t:
    uint8_t
    uint16_t
    float
    double


cdef extern from "_simd.h" nogil:
    const double MAGIC_64
    enum: AVX2
    enum: AVX512_VBMI
    int histeq_simd
    int histeq_best_simd()

    ctypedef struct segment:
        double x0
        double slope
        double y0

    void locate_f32(const float*, ptrdiff_t, float, float, float, float, int32_t, const float*,
                    int32_t*)
    void locate_f64(const double*, ptrdiff_t, double, double, double, double, int32_t,
                    const double*, int32_t*)
    bint extend_range_f32(const float*, ptrdiff_t, float*, float*)
    bint extend_range_f64(const double*, ptrdiff_t, double*, double*)
    void interpolate_f32(const float*, const int32_t*, ptrdiff_t, int, float, const segment*,
                         double*)
    void interpolate_f64(const double*, const int32_t*, ptrdiff_t, int, double, const segment*,
                         double*)

    void count_u8(const uint8_t*, ptrdiff_t, int32_t, int32_t*, ptrdiff_t)
    void count_u16(const uint16_t*, ptrdiff_t, int32_t, int32_t*, ptrdiff_t)
    void count_masked_u8(const uint8_t*, const uint8_t*, ptrdiff_t, int32_t, int32_t*)
    void count_masked_u16(const uint16_t*, const uint8_t*, ptrdiff_t, int32_t, int32_t*)
    void extend_range_u8(const uint8_t*, const uint8_t*, ptrdiff_t, int32_t*, int32_t*)
    void extend_range_u16(const uint16_t*, const uint8_t*, ptrdiff_t, int32_t*, int32_t*)
    void look_up_counts_u8(const uint8_t*, ptrdiff_t, int32_t, int32_t, const int32_t*, int32_t*)
    void look_up_counts_u16(const uint16_t*, ptrdiff_t, int32_t, int32_t, const int32_t*, int32_t*)
    void look_up_u8_u8(const uint8_t*, ptrdiff_t, int32_t, int32_t, const uint8_t*, uint8_t*)
    void look_up_u16_u8(const uint8_t*, ptrdiff_t, int32_t, int32_t, const uint16_t*, uint16_t*)
    void look_up_f32_u8(const uint8_t*, ptrdiff_t, int32_t, int32_t, const float*, float*)
    void look_up_f64_u8(const uint8_t*, ptrdiff_t, int32_t, int32_t, const double*, double*)
    void look_up_u8_u16(const uint16_t*, ptrdiff_t, int32_t, int32_t, const uint8_t*, uint8_t*)
    void look_up_u16_u16(const uint16_t*, ptrdiff_t, int32_t, int32_t, const uint16_t*, uint16_t*)
    void look_up_f32_u16(const uint16_t*, ptrdiff_t, int32_t, int32_t, const float*, float*)
    void look_up_f64_u16(const uint16_t*, ptrdiff_t, int32_t, int32_t, const double*, double*)
    void map_u16_u8(const uint8_t*, ptrdiff_t, const uint16_t*, uint16_t*)
    void map_f32_u8(const uint8_t*, ptrdiff_t, const float*, float*)
    void map_to_doubles(const uint8_t*, ptrdiff_t, const double*, double*)
    void map_u8_u16(const uint16_t*, ptrdiff_t, const uint8_t*, uint8_t*)
    void map_u16_u16(const uint16_t*, ptrdiff_t, const uint16_t*, uint16_t*)
    void map_f32_u16(const uint16_t*, ptrdiff_t, const float*, float*)
    void map_f64_u16(const uint16_t*, ptrdiff_t, const double*, double*)
    void map_bytes(const uint8_t*, ptrdiff_t, const uint8_t*, uint8_t*)

    void count_intervals(const int32_t*, ptrdiff_t, int32_t*, ptrdiff_t)
    void add_fourfold(int32_t*, ptrdiff_t)
    void cumulate(int32_t*, ptrdiff_t)
    void opencv_levels(const int32_t*, int32_t, float, uint8_t*)
    void pillow_levels(const int32_t*, double, double, uint8_t*)
    void divide(const int32_t*, ptrdiff_t, double, double*)
    void store_u8(const double*, ptrdiff_t, bint, double, uint8_t*)
    void store_u16(const double*, ptrdiff_t, bint, double, uint16_t*)
    void store_f32(const double*, ptrdiff_t, bint, double, float*)
    void store_f64(const double*, ptrdiff_t, bint, double, double*)


# Conventions, as the wrapper passes them.
cpdef enum Convention:
    SKIMAGE = 0
    NUMPY = 1
    OPENCV = 2
    PILLOW = 3

# Status bits of a plane, as in _status.py, and one that the wrapper keeps to itself.
cdef enum:
    HAS_NAN = 1
    HAS_INF = 2
    IS_EMPTY = 4
    REFER = 128  # left to the reference

cdef enum:
    # Planes of up to so many pixels keep the intervals that counting found for the interpolation
    # (1/4 MiB).
    N_KEPT = 65536
    # Larger planes find them twice, so many pixels at a time.
    N_BLOCK = 4096
    # Tables up to this length are counted fourfold, if the plane has many more pixels.
    N_FOURFOLD = 4096


def use_simd(bint allowed):
    """Choose the best instruction set of this processor, or the portable loops; for the whole
    process.
    """
    global histeq_simd
    histeq_simd = histeq_best_simd() if allowed else 0


def instruction_set():
    """Return the name of the instruction set in use: "AVX-512 VBMI", "AVX2" or "portable"."""
    if histeq_simd >= AVX512_VBMI:
        return "AVX-512 VBMI"
    return "AVX2" if histeq_simd >= AVX2 else "portable"


# Output types -------------------------------------------------------------------------------------


cdef inline void store(const double* values, ptrdiff_t n, bint single, double top,
                       out_t* out) noexcept nogil:
    """Write values of a convention as the output type; single: its own type is single precision.
    """
    if out_t is uint8_t:
        store_u8(values, n, single, top, out)
    elif out_t is uint16_t:
        store_u16(values, n, single, top, out)
    elif out_t is float:
        store_f32(values, n, single, top, out)
    else:
        store_f64(values, n, single, top, out)


cdef inline double top_of(int convention) noexcept nogil:
    """The value of a convention's brightest output."""
    return 1.0 if convention == SKIMAGE else 255.0


cdef void fill(double value, ptrdiff_t n, double top, out_t* out) noexcept nogil:
    """Write one value to all n pixels."""
    cdef out_t stored
    cdef ptrdiff_t i
    store(&value, 1, False, top, &stored)
    for i in range(n):
        out[i] = stored


# Scratch ------------------------------------------------------------------------------------------

cdef struct Scratch:
    # Views of the wrapper's scratch array, reused by every plane of a call.
    double* thresholds  # (2 n_bins + 1,), of the pixels' real type
    int32_t* counts  # (2 n_bins + 2,), fourfold up to N_FOURFOLD
    double* values  # (n_bins,), of the transfer function at its points
    segment* segments  # (n_bins + 1,)
    int32_t* intervals  # (N_KEPT,) for floats; (n_levels,)
    double* buffer  # (N_BLOCK,)
    double* levels  # (n_levels,), levels as doubles
    int32_t* level_counts  # (n_levels,), fourfold up to N_FOURFOLD
    double* level_values  # (n_levels,)
    double* table  # (n_levels,), of the output type


cdef ptrdiff_t lay_out(Py_ssize_t n_bins, Py_ssize_t n_levels, uint8_t* start,
                       Scratch* scratch) noexcept nogil:
    """Divide scratch memory into arrays, each at a multiple of 64 bytes; returns how many bytes
    that takes.
    """
    cdef ptrdiff_t at = 0
    cdef ptrdiff_t n_intervals = max(n_levels, <ptrdiff_t> N_BLOCK) if n_levels else N_KEPT
    scratch.thresholds = <double*> take(start, &at, (2 * n_bins + 1) * sizeof(double))
    scratch.counts = <int32_t*> take(start, &at, fourfold(2 * n_bins + 2) * sizeof(int32_t))
    scratch.values = <double*> take(start, &at, n_bins * sizeof(double))
    scratch.segments = <segment*> take(start, &at, (n_bins + 1) * sizeof(segment))
    scratch.intervals = <int32_t*> take(start, &at, n_intervals * sizeof(int32_t))
    scratch.buffer = <double*> take(start, &at, N_BLOCK * sizeof(double))
    scratch.levels = <double*> take(start, &at, n_levels * sizeof(double))
    scratch.level_counts = <int32_t*> take(start, &at, fourfold(n_levels) * sizeof(int32_t))
    scratch.level_values = <double*> take(start, &at, n_levels * sizeof(double))
    scratch.table = <double*> take(start, &at, n_levels * sizeof(double))
    return at


cdef inline ptrdiff_t fourfold(ptrdiff_t n) noexcept nogil:
    """The room for n counts, in four tables if they are few."""
    return max(n, 4 * min(n, N_FOURFOLD))


cdef inline uint8_t* take(uint8_t* start, ptrdiff_t* at, ptrdiff_t size) noexcept nogil:
    """Return the next array of so many bytes."""
    cdef uint8_t* array = start + at[0]
    at[0] += (size + 63) & ~<ptrdiff_t> 63
    return array


cdef inline uint8_t* aligned(uint8_t* start) noexcept nogil:
    """Return the first multiple of 64 bytes."""
    return start + (-<ptrdiff_t> start & 63)


def scratch_size(Py_ssize_t n_bins, Py_ssize_t n_levels):
    """Return the bytes of scratch that a kernel needs; n_levels: 256, 65536, or 0 for floats."""
    cdef Scratch scratch
    return lay_out(n_bins, n_levels, NULL, &scratch) + 64


# Levels: a bin a level ----------------------------------------------------------------------------


cdef void identity_table(uint8_t* table) noexcept nogil:
    """Every level itself."""
    cdef int level
    for level in range(256):
        table[level] = <uint8_t> level


cdef void count_plane(const level_t* x, const uint8_t* mask, ptrdiff_t n, int32_t low,
                      ptrdiff_t n_levels, int32_t* counts) noexcept nogil:
    """Count the n_levels levels from low on; counts, of 4 N_FOURFOLD or n_levels numbers, are the
    caller's.
    """
    cdef ptrdiff_t stride = n_levels if n_levels <= N_FOURFOLD and n >= 4 * n_levels else 0
    cdef ptrdiff_t level
    if n_levels <= 256 and n >= 256 and stride == 0:
        stride = n_levels
    memset(counts, 0, (3 * stride + n_levels) * sizeof(int32_t))
    if mask != NULL:
        if level_t is uint8_t:
            count_masked_u8(x, mask, n, low, counts)
        else:
            count_masked_u16(x, mask, n, low, counts)
        return
    if level_t is uint8_t:
        count_u8(x, n, low, counts, stride)
    else:
        count_u16(x, n, low, counts, stride)
    if stride:
        add_fourfold(counts, n_levels)


cdef inline void find_range(const level_t* x, const uint8_t* mask, ptrdiff_t n, int32_t* low,
                            int32_t* high) noexcept nogil:
    """Set the least and the greatest counted level; low > high where none is counted."""
    low[0], high[0] = 65536, -1
    if level_t is uint8_t:
        extend_range_u8(x, mask, n, low, high)
    else:
        extend_range_u16(x, mask, n, low, high)


cdef void look_up(const level_t* x, ptrdiff_t n, int32_t low, int32_t high, const out_t* table,
                  out_t* out) noexcept nogil:
    """out = table[x - low], levels clamped to [low, high]."""
    if level_t is uint8_t:
        if out_t is uint8_t:
            look_up_u8_u8(x, n, low, high, table, out)
        elif out_t is uint16_t:
            look_up_u16_u8(x, n, low, high, table, out)
        elif out_t is float:
            look_up_f32_u8(x, n, low, high, table, out)
        else:
            look_up_f64_u8(x, n, low, high, table, out)
    else:
        if out_t is uint8_t:
            look_up_u8_u16(x, n, low, high, table, out)
        elif out_t is uint16_t:
            look_up_u16_u16(x, n, low, high, table, out)
        elif out_t is float:
            look_up_f32_u16(x, n, low, high, table, out)
        else:
            look_up_f64_u16(x, n, low, high, table, out)


cdef void byte_table(int32_t low, int32_t high, int convention, Scratch* scratch,
                     out_t* table) noexcept nogil:
    """Set the look-up table (256,) of a bin a level from scratch.level_counts (256,), which are
    cumulated.
    """
    cdef int32_t* counts = scratch.level_counts
    cdef double* values = scratch.level_values
    cdef uint8_t[256] bytes_
    cdef int32_t lowest = counts[low], highest = counts[high]
    cdef int level
    cumulate(counts, 256)
    if convention == SKIMAGE:
        for level in range(low):
            counts[level] = lowest
        divide(counts, 256, <double> counts[255], values)
        store(values, 256, False, 1.0, table)
        return
    peer_table(low, lowest, high, highest, convention, counts, bytes_)
    if out_t is uint8_t:
        memcpy(table, bytes_, 256)
    else:
        for level in range(256):
            values[level] = bytes_[level]
        store(values, 256, False, 255.0, table)


cdef void peer_table(int32_t low, int32_t lowest, int32_t high, int32_t highest, int convention,
                     const int32_t* cumulative, uint8_t* table) noexcept nogil:
    """Set OpenCV's or Pillow's table (256,) from cumulated counts; lowest, highest: counts of the
    levels low and high.
    """
    cdef int32_t n_pixels = cumulative[255]
    cdef int32_t step = (n_pixels - highest) // 255
    if low == high or convention == PILLOW and step == 0:
        identity_table(table)
    elif convention == OPENCV:
        opencv_levels(cumulative, lowest, <float> 255 / <float> (n_pixels - lowest), table)
    else:
        pillow_levels(cumulative, <double> (step // 2), <double> step, table)


cdef void map_all(const level_t* x, ptrdiff_t n, const out_t* table, out_t* out) noexcept nogil:
    """out = table[x], for a table of all levels."""
    if level_t is uint8_t:
        if out_t is uint8_t:
            map_bytes(x, n, table, out)
        elif out_t is uint16_t:
            map_u16_u8(x, n, table, out)
        elif out_t is float:
            map_f32_u8(x, n, table, out)
        else:
            map_to_doubles(x, n, table, out)
    else:
        if out_t is uint8_t:
            map_u8_u16(x, n, table, out)
        elif out_t is uint16_t:
            map_u16_u16(x, n, table, out)
        elif out_t is float:
            map_f32_u16(x, n, table, out)
        else:
            map_f64_u16(x, n, table, out)


cdef inline bint occupied_range(const int32_t* counts, int32_t* low, int32_t* high) noexcept nogil:
    """Set the first and the last of 256 levels with a count; False where there is none."""
    low[0], high[0] = 0, 255
    while low[0] < 256 and counts[low[0]] == 0:
        low[0] += 1
    if low[0] == 256:
        return False
    while counts[high[0]] == 0:
        high[0] -= 1
    return True


cdef int equalize_bytes(const uint8_t* x, const uint8_t* mask, ptrdiff_t n, int convention,
                        Scratch* scratch, out_t* out) noexcept nogil:
    """Equalize one plane of bytes with a bin a level; returns its status."""
    cdef int32_t low, high
    count_plane(x, mask, n, 0, 256, scratch.level_counts)
    if not occupied_range(scratch.level_counts, &low, &high):
        return IS_EMPTY
    byte_table(low, high, convention, scratch, <out_t*> scratch.table)
    map_all(x, n, <out_t*> scratch.table, out)
    return 0


cdef int equalize_level_plane(const level_t* x, const uint8_t* mask, ptrdiff_t n,
                              Py_ssize_t n_bins, int convention, Scratch* scratch,
                              out_t* out) noexcept nogil:
    """Equalize one plane of levels, in n_bins bins or, for 0, a bin a level; returns its status.
    """
    cdef int32_t low, high
    cdef ptrdiff_t n_levels, i
    if level_t is uint8_t:
        if n_bins == 0:
            return equalize_bytes(x, mask, n, convention, scratch, out)
    find_range(x, mask, n, &low, &high)
    if low > high:
        return IS_EMPTY
    if low == high:
        fill(top_of(convention), n, top_of(convention), out)
        return 0
    n_levels = high - low + 1
    if n_bins > 0 and n_levels > n:
        # fewer pixels than levels: as doubles, one by one
        for i in range(n):
            scratch.levels[i] = x[i]
        return equalize_real_plane(scratch.levels, mask, n, n_bins, convention, scratch, out)
    count_plane(x, mask, n, low, n_levels, scratch.level_counts)
    if n_bins == 0 and 2 * n_levels > n:
        cumulate(scratch.level_counts, n_levels)
        divide_pixels(x, n, low, high, scratch, out)
        return 0
    if not level_table(low, high, n_bins, convention, scratch, <out_t*> scratch.table):
        return REFER
    look_up(x, n, low, high, <out_t*> scratch.table, out)
    return 0


cdef bint level_table(int32_t low, int32_t high, Py_ssize_t n_bins, int convention,
                      Scratch* scratch, out_t* table) noexcept nogil:
    """Set the look-up table of the levels low to high from scratch.level_counts; False where that
    is not certain.
    """
    cdef ptrdiff_t n_levels = high - low + 1
    if n_bins > 0:
        if not bin_levels(low, n_levels, n_bins, convention, scratch):
            return False
    else:
        cumulate(scratch.level_counts, n_levels)
        divide(scratch.level_counts, n_levels, <double> scratch.level_counts[n_levels - 1],
               scratch.level_values)
    store(scratch.level_values, n_levels, False, top_of(convention), table)
    return True


cdef void divide_pixels(const level_t* x, ptrdiff_t n, int32_t low, int32_t high, Scratch* scratch,
                        out_t* out) noexcept nogil:
    """Map each pixel to its level's cumulated count, divided: for fewer pixels than levels."""
    cdef ptrdiff_t b, start, size
    cdef double n_pixels = <double> scratch.level_counts[high - low]
    for b in range((n + N_BLOCK - 1) // N_BLOCK):
        start = b * N_BLOCK
        size = min(n - start, <ptrdiff_t> N_BLOCK)
        if level_t is uint8_t:
            look_up_counts_u8(x + start, size, low, high, scratch.level_counts, scratch.intervals)
        else:
            look_up_counts_u16(x + start, size, low, high, scratch.level_counts, scratch.intervals)
        divide(scratch.intervals, size, n_pixels, scratch.buffer)
        store(scratch.buffer, size, False, 1.0, out + start)


cdef bint bin_levels(int32_t low, ptrdiff_t n_levels, Py_ssize_t n_bins, int convention,
                     Scratch* scratch) noexcept nogil:
    """Set scratch.level_values of the n_levels levels from low on, binned as doubles by
    scratch.level_counts.

    False where that is not certain to be exact.
    """
    cdef Grid grid
    cdef ptrdiff_t i
    cdef double* levels = scratch.levels
    for i in range(n_levels):
        levels[i] = low + i
    if not make_grid(levels[0], levels[n_levels - 1], n_bins, convention, scratch, &grid):
        return False
    locate(levels, n_levels, &grid, scratch, scratch.intervals)
    memset(scratch.counts, 0, (grid.last + 1) * sizeof(int32_t))
    for i in range(n_levels):
        scratch.counts[scratch.intervals[i]] += scratch.level_counts[i]
    make_curve(<double> 0, n_bins, convention, &grid, scratch)
    interpolate_f64(levels, scratch.intervals, n_levels, grid.halves, levels[0], scratch.segments,
                    scratch.level_values)
    return True


# Reals: bins of equal width -----------------------------------------------------------------------


cdef struct Grid:
    # Thresholds of equal width, and how they are found: see _loops.h. Exact in the pixels' real
    # type.
    double low
    double high
    double scale
    double tol
    int32_t last  # index of the last threshold
    int halves  # 1: edges and centers in turn; 0: edges alone


cdef bint make_grid(real_t low, real_t high, Py_ssize_t n_bins, int convention, Scratch* scratch,
                    Grid* grid) noexcept nogil:
    """Set the thresholds of n_bins bins over [low, high]: linspace's edges, with "skimage" the
    centers too.

    False where they might coincide, overflow or be missed by the estimate; then the plane is left
    to the reference.
    """
    cdef real_t delta = high - low, largest = max(fabs(low), fabs(high)), unit, margin
    cdef real_t step = delta / <real_t> n_bins
    cdef real_t scale = <real_t> (n_bins << (convention == SKIMAGE)) / delta
    cdef real_t* t = <real_t*> scratch.thresholds
    cdef real_t edge, next_edge
    cdef Py_ssize_t k
    if real_t is float:
        unit, margin = 2.0**-24, 2.0**100
    else:
        unit, margin = 2.0**-53, 2.0**900
    if not (step * margin >= 1 and largest <= margin):
        return False
    # rounding errors, in intervals: of the estimate 6 n, of the thresholds 6 n + 2 largest *
    # scale, units of rounding each
    grid.tol = unit * (16 * <double> n_bins + 3 * <double> largest * <double> scale)
    if grid.tol >= 0.25:
        return False
    grid.low, grid.high, grid.scale = low, high, scale
    grid.halves = convention == SKIMAGE
    grid.last = <int32_t> (n_bins << grid.halves)
    if grid.halves:
        edge = low
        for k in range(n_bins):
            next_edge = high if k + 1 == n_bins else <real_t> (k + 1) * step + low
            t[2 * k] = edge
            t[2 * k + 1] = (edge + next_edge) / <real_t> 2
            edge = next_edge
    else:
        for k in range(n_bins):
            t[k] = <real_t> k * step + low
    t[grid.last] = high
    return True


cdef inline void locate(const real_t* x, ptrdiff_t n, Grid* grid, Scratch* scratch,
                        int32_t* intervals) noexcept nogil:
    """Set the interval of each of n pixels."""
    if real_t is float:
        locate_f32(x, n, <float> grid.low, <float> grid.high, <float> grid.scale,
                   <float> grid.tol, grid.last, <const float*> scratch.thresholds, intervals)
    else:
        locate_f64(x, n, grid.low, grid.high, grid.scale, grid.tol, grid.last, scratch.thresholds,
                   intervals)


cdef void make_curve(real_t zero, Py_ssize_t n_bins, int convention, Grid* grid,
                     Scratch* scratch) noexcept nogil:
    """Set the segments of a plane's transfer function from scratch.counts of its intervals; zero
    tells the real type.
    """
    cdef const real_t* t = <const real_t*> scratch.thresholds
    cdef int32_t* counts = scratch.counts
    cdef Py_ssize_t k
    if grid.halves:
        for k in range(n_bins):
            counts[k] = counts[2 * k] + counts[2 * k + 1]
    counts[n_bins - 1] += counts[grid.last]
    if convention == SKIMAGE:
        skimage_values(zero, counts, n_bins, scratch.values)
        join_segments(t + 1, 2, scratch.values, n_bins, 1, scratch.segments)
    else:
        numpy_values(t, counts, n_bins, scratch.values)
        join_segments(t, 1, scratch.values, n_bins, 0, scratch.segments)


cdef void skimage_values(real_t zero, int32_t* counts, Py_ssize_t n_bins,
                         double* values) noexcept nogil:
    """The CDF in the pixels' real type; counts are cumulated."""
    cdef Py_ssize_t k
    cumulate(counts, n_bins)
    divide(counts, n_bins, <double> counts[n_bins - 1], values)
    if real_t is float:
        for k in range(n_bins):
            values[k] = <float> values[k]


cdef void numpy_values(const real_t* edges, const int32_t* counts, Py_ssize_t n_bins,
                       double* values) noexcept nogil:
    """255 * cdf / cdf[-1], cdf the cumulated density counts / widths / n."""
    cdef double total = 0, cumulative = 0, last
    cdef Py_ssize_t k
    for k in range(n_bins):
        total += counts[k]
    for k in range(n_bins):
        values[k] = <double> counts[k] / <double> (edges[k + 1] - edges[k]) / total
    for k in range(n_bins):
        cumulative = cumulative + values[k] if k else values[0]
        values[k] = cumulative
    last = cumulative
    for k in range(n_bins):
        values[k] = 255.0 * values[k] / last


cdef void join_segments(const real_t* points, ptrdiff_t stride, const double* values,
                        Py_ssize_t n_points, int before, segment* segments) noexcept nogil:
    """np.interp's pieces: constant beyond the points; before: a constant piece in front, else one
    more behind.
    """
    cdef Py_ssize_t k
    cdef segment* s = segments + before
    for k in range(n_points - 1):
        s[k].x0 = <double> points[k * stride]
        s[k].y0 = values[k]
        s[k].slope = (values[k + 1] - values[k]) / (<double> points[(k + 1) * stride] - s[k].x0)
    k = n_points - 1
    s[k].x0, s[k].slope, s[k].y0 = <double> points[k * stride], 0.0, values[k]
    if before:
        segments[0].x0, segments[0].slope, segments[0].y0 = <double> points[0], 0.0, values[0]
    else:
        s[n_points] = s[k]


cdef void count_reals(const real_t* x, const uint8_t* mask, bint weighted, ptrdiff_t n, Grid* grid,
                      Scratch* scratch) noexcept nogil:
    """Set scratch.counts of the intervals of a plane; weighted: where the mask (or NULL) is true
    and x is no NaN.

    scratch.intervals keeps the intervals of up to N_KEPT pixels.
    """
    cdef ptrdiff_t length = grid.last + 1, b, start, size, i
    cdef ptrdiff_t block = n if n <= N_KEPT else N_BLOCK
    cdef bint many = length <= N_FOURFOLD and n >= 4 * length and not weighted
    cdef ptrdiff_t stride = length if many else 0
    memset(scratch.counts, 0, (3 * stride + length) * sizeof(int32_t))
    for b in range((n + block - 1) // block):
        start = b * block
        size = min(block, n - start)
        locate(x + start, size, grid, scratch, scratch.intervals)
        if not weighted:
            count_intervals(scratch.intervals, size, scratch.counts, stride)
            continue
        for i in range(size):
            if x[start + i] == x[start + i] and (mask == NULL or mask[start + i]):
                scratch.counts[scratch.intervals[i]] += 1
    if stride:
        add_fourfold(scratch.counts, length)


cdef void interpolate_kept(const real_t* x, const int32_t* intervals, ptrdiff_t n, bint single,
                           double top, Grid* grid, Scratch* scratch, out_t* out) noexcept nogil:
    """Map up to N_BLOCK pixels of known intervals by scratch.segments."""
    cdef double* values = scratch.buffer
    if out_t is double:
        if not single:
            values = out
    if real_t is float:
        interpolate_f32(x, intervals, n, grid.halves, <float> grid.low, scratch.segments, values)
    else:
        interpolate_f64(x, intervals, n, grid.halves, grid.low, scratch.segments, values)
    if out_t is double:
        if not single:
            return
    store(values, n, single, top, out)


cdef void interpolate_anew(const real_t* x, ptrdiff_t n, bint single, double top, Grid* grid,
                           Scratch* scratch, out_t* out) noexcept nogil:
    """Map any number of pixels by scratch.segments, finding their intervals."""
    cdef ptrdiff_t b, start, size
    for b in range((n + N_BLOCK - 1) // N_BLOCK):
        start = b * N_BLOCK
        size = min(<ptrdiff_t> N_BLOCK, n - start)
        locate(x + start, size, grid, scratch, scratch.intervals)
        interpolate_kept(x + start, scratch.intervals, size, single, top, grid, scratch,
                         out + start)


cdef void interpolate(const real_t* x, ptrdiff_t n, bint single, double top, Grid* grid,
                      Scratch* scratch, out_t* out) noexcept nogil:
    """Map a plane by scratch.segments; scratch.intervals still holds the intervals of up to N_KEPT
    pixels.
    """
    cdef ptrdiff_t b, start, size
    if n > N_KEPT:
        interpolate_anew(x, n, single, top, grid, scratch, out)
        return
    for b in range((n + N_BLOCK - 1) // N_BLOCK):
        start = b * N_BLOCK
        size = min(<ptrdiff_t> N_BLOCK, n - start)
        interpolate_kept(x + start, scratch.intervals + start, size, single, top, grid, scratch,
                         out + start)


cdef int real_range(const real_t* x, const uint8_t* mask, ptrdiff_t n, real_t* low,
                    real_t* high) noexcept nogil:
    """Set the least and greatest counted pixel; returns the status, IS_EMPTY where none is
    counted.
    """
    cdef int status = 0
    cdef ptrdiff_t i
    low[0], high[0] = INFINITY, -INFINITY
    if real_t is float:
        status = HAS_NAN * extend_range_f32(x, n, low, high)
    else:
        status = HAS_NAN * extend_range_f64(x, n, low, high)
    if low[0] > high[0]:
        return status | IS_EMPTY
    if isinf(low[0]) or isinf(high[0]):
        status |= HAS_INF
    if mask != NULL:
        low[0], high[0] = INFINITY, -INFINITY
        for i in range(n):
            if mask[i]:
                low[0] = x[i] if x[i] < low[0] else low[0]
                high[0] = x[i] if x[i] > high[0] else high[0]
        if low[0] > high[0]:
            status |= IS_EMPTY
    return status


cdef void fill_counted(const real_t* x, ptrdiff_t n, double value, double top, Scratch* scratch,
                       out_t* out) noexcept nogil:
    """Write one value to all pixels; NaN stays."""
    cdef ptrdiff_t b, start, size, i
    for b in range((n + N_BLOCK - 1) // N_BLOCK):
        start = b * N_BLOCK
        size = min(<ptrdiff_t> N_BLOCK, n - start)
        for i in range(size):
            scratch.buffer[i] = value if x[start + i] == x[start + i] else NAN
        store(scratch.buffer, size, False, top, out + start)


cdef int equalize_real_plane(const real_t* x, const uint8_t* mask, ptrdiff_t n, Py_ssize_t n_bins,
                             int convention, Scratch* scratch, out_t* out) noexcept nogil:
    """Equalize one plane of floats in n_bins bins; returns its status."""
    cdef real_t low, high
    cdef Grid grid
    cdef bint weighted
    cdef double top = top_of(convention)
    cdef int status = real_range(x, mask, n, &low, &high)
    if status & HAS_INF:
        return status
    if status & IS_EMPTY:
        fill(NAN, n, top, out)
        return status
    if low == high:
        fill_counted(x, n, top, top, scratch, out)
        return status
    if not make_grid(low, high, n_bins, convention, scratch, &grid):
        return status | REFER
    weighted = mask != NULL or (status & HAS_NAN) != 0
    count_reals(x, mask, weighted, n, &grid, scratch)
    make_curve(low, n_bins, convention, &grid, scratch)
    interpolate(x, n, sizeof(real_t) == 4 and convention == SKIMAGE, top, &grid, scratch, out)
    return status


# Blocks of planes ---------------------------------------------------------------------------------


def equalize(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
             uint8_t[::1] status, Py_ssize_t n_bins, int convention, uint8_t[::1] scratch):
    """Equalize each row of planes (n_planes, n_pixels) by its own CDF into the same row of out.

    Planes p * n_channels to (p + 1) * n_channels - 1 share row p of mask (n_images, n_pixels), or
    None. n_bins = 0: a bin a level. status (n_planes,) is set to the bits of _status.py and REFER
    = 128; their union is returned. All arrays are the caller's; scratch has `scratch_size(n_bins,
    n_levels)` bytes.
    """
    cdef Py_ssize_t n_planes = planes.shape[0], n = planes.shape[1], p
    cdef Py_ssize_t n_channels = 1
    cdef const uint8_t* counted = NULL
    cdef bint masked = mask is not None
    cdef Scratch arrays
    cdef Py_ssize_t n_levels = 0
    cdef uint8_t found = 0
    if pixel_t is uint8_t:
        n_levels = 256
    elif pixel_t is uint16_t:
        n_levels = 65536
    if masked and mask.shape[0]:
        n_channels = n_planes // mask.shape[0]
    lay_out(n_bins, n_levels, aligned(&scratch[0]), &arrays)
    with nogil:
        for p in range(n_planes):
            if masked:
                counted = &mask[p // n_channels, 0]
            if pixel_t is uint8_t or pixel_t is uint16_t:
                status[p] = equalize_level_plane(&planes[p, 0], counted, n, n_bins, convention,
                                                 &arrays, &out[p, 0])
            else:
                status[p] = equalize_real_plane(&planes[p, 0], counted, n, n_bins, convention,
                                                &arrays, &out[p, 0])
            found |= status[p]
    return found


# One plane in parts: a range, then counts, then values, each over any pieces of the plane ---------


def plane_range(const pixel_t[::1] x, const uint8_t[::1] mask):
    """Return (status, low, high) of the counted pixels of a part of a plane; low > high where none
    is counted.
    """
    cdef ptrdiff_t n = x.shape[0]
    cdef const uint8_t* counted = NULL
    cdef int status = 0
    cdef int32_t low_level, high_level
    cdef pixel_t low, high
    if mask is not None:
        counted = &mask[0]
    if pixel_t is uint8_t or pixel_t is uint16_t:
        with nogil:
            find_range(&x[0], counted, n, &low_level, &high_level)
        return (IS_EMPTY if low_level > high_level else 0), low_level, high_level
    else:
        with nogil:
            status = real_range(&x[0], counted, n, &low, &high)
        return status, low, high


def add_counts(const pixel_t[::1] x, const uint8_t[::1] mask, double low, double high,
               Py_ssize_t n_bins, int convention, int64_t[::1] counts, uint8_t[::1] scratch):
    """Add the counted pixels of a part of a plane to counts, by intervals (or, for n_bins = 0, by
    level - low).

    The intervals are the bins, halved at their centers with "skimage", and one more for the pixels
    equal to high: 2 n_bins + 1 or n_bins + 1 numbers. Returns whether that is certain to be exact;
    else counts is as it was.
    """
    cdef ptrdiff_t n = x.shape[0], i, length
    cdef const uint8_t* counted = NULL
    cdef Scratch arrays
    cdef Grid grid
    cdef bint certain = True, weighted = mask is not None
    cdef pixel_t least, greatest
    if mask is not None:
        counted = &mask[0]
    with nogil:
        if pixel_t is uint8_t or pixel_t is uint16_t:
            lay_out(0, counts.shape[0], aligned(&scratch[0]), &arrays)
            length = counts.shape[0]
            count_plane(&x[0], counted, n, <int32_t> low, length, arrays.level_counts)
            for i in range(length):
                counts[i] += arrays.level_counts[i]
        else:
            lay_out(n_bins, 0, aligned(&scratch[0]), &arrays)
            certain = make_grid(<pixel_t> low, <pixel_t> high, n_bins, convention, &arrays, &grid)
            if certain:
                weighted |= real_range(&x[0], NULL, n, &least, &greatest) & HAS_NAN
                count_reals(&x[0], counted, weighted, n, &grid, &arrays)
                for i in range(grid.last + 1):
                    counts[i] += arrays.counts[i]
    return certain


def apply_counts(const pixel_t[::1] x, double low, double high, Py_ssize_t n_bins, int convention,
                 const int64_t[::1] counts, out_t[::1] out, uint8_t[::1] scratch):
    """Map a part of a plane into out by the transfer function that all parts' counts
    (`add_counts`) make.
    """
    cdef ptrdiff_t n = x.shape[0], i
    cdef Scratch arrays
    cdef Grid grid
    cdef int32_t first = <int32_t> low, last = <int32_t> high
    cdef double top = top_of(convention)
    with nogil:
        if pixel_t is uint8_t or pixel_t is uint16_t:
            lay_out(n_bins, counts.shape[0], aligned(&scratch[0]), &arrays)
            for i in range(counts.shape[0]):
                arrays.level_counts[i] = <int32_t> counts[i]
            if n_bins == 0 and convention != SKIMAGE or (pixel_t is uint8_t and n_bins == 0):
                occupied_range(arrays.level_counts, &first, &last)
                byte_table(first, last, convention, &arrays, <out_t*> arrays.table)
                map_all(&x[0], n, <out_t*> arrays.table, &out[0])
            else:
                level_table(first, last, n_bins, convention, &arrays, <out_t*> arrays.table)
                look_up(&x[0], n, first, last, <out_t*> arrays.table, &out[0])
        else:
            lay_out(n_bins, 0, aligned(&scratch[0]), &arrays)
            make_grid(<pixel_t> low, <pixel_t> high, n_bins, convention, &arrays, &grid)
            for i in range(grid.last + 1):
                arrays.counts[i] = <int32_t> counts[i]
            make_curve(<pixel_t> low, n_bins, convention, &grid, &arrays)
            interpolate_anew(&x[0], n, sizeof(pixel_t) == 4 and convention == SKIMAGE, top, &grid,
                             &arrays, &out[0])


# Learned states: a table, or a curve at given points ----------------------------------------------


def look_up_table(const level_t[::1] x, const out_t[::1] table, out_t[::1] out):
    """out = table[x], for a table of all 256 or 65536 levels."""
    cdef ptrdiff_t n = x.shape[0]
    with nogil:
        map_all(&x[0], n, &table[0], &out[0])


def interpolate_at(const real_t[::1] x, const real_t[::1] points, const double[::1] values,
                   double tol, bint single, double top, out_t[::1] out, uint8_t[::1] scratch):
    """np.interp(x, points, values) into out, for points equally spaced but for tol < 1/4 of a
    spacing.

    single: values are rounded to single precision first; top: what the largest output stands for.
    scratch has `scratch_size(len(points), 0)` bytes.
    """
    cdef ptrdiff_t n = x.shape[0], n_points = points.shape[0]
    cdef real_t spacing
    cdef real_t* thresholds
    cdef Scratch arrays
    cdef Grid grid
    with nogil:
        lay_out(n_points, 0, aligned(&scratch[0]), &arrays)
        spacing = (points[n_points - 1] - points[0]) / <real_t> (n_points - 1)
        thresholds = <real_t*> arrays.thresholds
        memcpy(thresholds, &points[0], n_points * sizeof(real_t))
        # one more, so that the last point too is told exactly from what lies below it
        thresholds[n_points] = points[n_points - 1] + spacing
        grid.low, grid.high, grid.tol = points[0], thresholds[n_points], tol
        grid.scale = <real_t> 1 / spacing
        grid.last, grid.halves = <int32_t> n_points, 0
        join_segments(&points[0], 1, &values[0], n_points, 0, arrays.segments)
        interpolate_anew(&x[0], n, single, top, &grid, &arrays, &out[0])


include "_kernels_adapt.pxi"
include "_kernels_match.pxi"
