# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False, embedsignature=True
# cython: freethreading_compatible=True
"""The entry points of the kernels: typed arrays in, pointers out, without the GIL.

Every function takes contiguous arrays, planes of shape (n_planes, n_pixels) one a row, checks
nothing and writes only to arrays that its caller owns; its wrapper in Python checks, aligns dtypes
and allocates. `mask` (n_images, n_pixels) is None, or says which pixels count; each of its rows
serves the planes of one image. What is computed, and how its bits are kept, is written in the
headers.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

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

ctypedef fused wide_t:
    int32_t
    uint32_t
    int64_t
    uint64_t

ctypedef fused item_t:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused index_t:
    uint8_t
    uint16_t
    int32_t

ctypedef fused ranked_t:
    uint16_t
    int32_t
    uint32_t
    int64_t
    uint64_t


cdef extern from "_kernels.h" namespace "histeq" nogil:
    int set_in_use "histeq::instruction_set"
    int best_instruction_set()
    enum: _HAS_NAN "histeq::HAS_NAN"
    enum: _HAS_INF "histeq::HAS_INF"
    enum: _IS_EMPTY "histeq::IS_EMPTY"
    enum: _REFER "histeq::REFER"
    enum: _TILE_LANES "histeq::TILE_LANES"

    struct Planes:
        ptrdiff_t n, n_channels, n_pixels

    struct EqualizeRule:
        ptrdiff_t n_bins
        int formula

    struct AdaptRule:
        double clip_limit
        ptrdiff_t n_bins
        bint is_float32

    struct Storage:
        bint is_float32
        double output_max

    struct Target:
        const double* shares
        const double* values
        const double* slopes
        ptrdiff_t n
        double n_below, n_counted

    struct Knots:
        const double* points
        const double* values
        const double* slopes
        ptrdiff_t n

    struct Curves:
        const double* lows
        const double* highs
        const double* values
        const int64_t* counts
        ptrdiff_t n_bins
        bint at_centers

    struct Lattices:
        const int64_t* starts
        const int32_t* exponents
        ptrdiff_t n_bins

    struct Tiling:
        const int32_t* rows
        const int32_t* columns
        const int32_t* above
        const int32_t* below
        const int32_t* places
        const double* fy
        const double* shares
        ptrdiff_t n_tiles, tile_height, tile_width, height, width, begin, end

    struct Windows:
        ptrdiff_t height, width, radius, begin, end
        bint is_peer, is_float32

    bint run_equalize "histeq::equalize"[P, O](
        const P*, const uint8_t*, Planes, EqualizeRule, uint8_t*, O*)
    bint run_find_ranges "histeq::find_ranges"[P](
        const P*, const uint8_t*, Planes, uint8_t*, double*, double*)
    bint run_add_level_counts "histeq::add_level_counts"[P](
        const P*, const uint8_t*, Planes, ptrdiff_t, int64_t*)
    bint run_add_bin_counts "histeq::add_bin_counts"[P](
        const P*, const uint8_t*, Planes, ptrdiff_t, Curves, uint8_t*, int64_t*)
    bint run_add_lattice_counts "histeq::add_lattice_counts"[P](
        const P*, const uint8_t*, Planes, ptrdiff_t, Lattices, int64_t*)
    bint run_narrow_planes "histeq::narrow_planes"[P](
        const P*, const uint8_t*, Planes, uint8_t*, uint16_t*)
    bint run_rank_planes "histeq::rank_planes"[P](
        const P*, const uint8_t*, Planes, int32_t*, int32_t*, int32_t*)
    bint run_look_up "histeq::look_up"[P, O](
        const P*, Planes, const O*, ptrdiff_t, ptrdiff_t, O*)
    bint run_apply_curves "histeq::apply_curves"[P, O](
        const P*, Planes, Curves, Storage, uint8_t*, O*)
    bint run_look_up_steps "histeq::look_up_steps"[P, O](
        const P*, ptrdiff_t, const P*, ptrdiff_t, const O*, O*)
    bint run_interpolate_at "histeq::interpolate_at"[P, O](
        const P*, ptrdiff_t, Knots, Storage, int*, O*)
    bint run_transpose_pixels "histeq::transpose_pixels"[T](
        const T*, ptrdiff_t, ptrdiff_t, ptrdiff_t, T*)
    bint run_find_level_quantiles "histeq::find_level_quantiles"[P](
        const P*, const uint8_t*, Planes, ptrdiff_t, uint8_t*, double*)
    bint run_match "histeq::match"[P, O](
        const P*, const uint8_t*, Planes, ptrdiff_t, Target, uint8_t*, O*)
    bint run_scale_colors "histeq::scale_colors"[P, O](
        const P*, const P*, const O*, Planes, O*)
    bint run_adapt "histeq::adapt"[P, O](
        const P*, const uint8_t*, Planes, Tiling, AdaptRule, uint8_t*, O*)
    bint run_adapt_opencv "histeq::adapt_opencv"[P](const P*, Planes, Tiling, AdaptRule, P*)
    bint run_adapt_skimage "histeq::adapt_skimage"[P, O](
        const P*, Planes, Tiling, AdaptRule, O*)
    bint run_blend_skimage_rows "histeq::blend_skimage_rows"[P](
        const P*, Tiling, AdaptRule, P*)
    bint run_equalize_locally "histeq::equalize_locally"[P, O](
        const P*, const uint8_t*, Planes, Windows, uint8_t*, O*)


# Asked once: in a virtual machine each question takes microseconds.
cdef int _BEST_SET = best_instruction_set()
INSTRUCTION_SETS = ("portable", "AVX2", "AVX-512 VBMI")
# The bits of a plane's status; the kernels set REFER for a plane whose bits they do not promise.
NAN, INF, EMPTY, REFER = _HAS_NAN, _HAS_INF, _IS_EMPTY, _REFER
TILE_LANES = _TILE_LANES


def use_simd(bint allowed, int at_most=2):
    """Choose the best instruction set of this processor, or the portable loops; for the whole
    process. `at_most` is the place in INSTRUCTION_SETS of the best one to be used.
    """
    global set_in_use
    set_in_use = min(_BEST_SET, at_most) if allowed else 0


def instruction_set():
    """Return the name of the instruction set in use."""
    return INSTRUCTION_SETS[set_in_use]


cdef Planes planes_of(Py_ssize_t n, Py_ssize_t n_pixels, const uint8_t[:, ::1] mask):
    """Return how planes and the rows of a mask, if there is one, belong together."""
    return Planes(n, n // max(mask.shape[0], 1) if mask is not None else 1, n_pixels)


cdef const uint8_t* start_of(const uint8_t[:, ::1] mask):
    """Return the address of a mask, or NULL."""
    if mask is None:
        return NULL
    return &mask[0, 0]


cdef int check(bint has_memory) except -1:
    """Raise MemoryError where a kernel had too little memory."""
    if not has_memory:
        raise MemoryError("the kernels have too little memory for their work on these images")
    return 0


# Layout -------------------------------------------------------------------------------------------


def transpose_pixels(const item_t[:, :, ::1] images, item_t[:, :, ::1] out):
    """Set out (n, q, p) to each of images (n, p, q) transposed, where p or q is 2, 3 or 4."""
    with nogil:
        run_transpose_pixels(&images[0, 0, 0], images.shape[0], images.shape[1], images.shape[2],
                             &out[0, 0, 0])


# Colour -------------------------------------------------------------------------------------------


def scale_colors(const pixel_t[:, ::1] planes, const pixel_t[:, ::1] values,
                 const out_t[:, ::1] equalized, out_t[:, ::1] out):
    """out = c * equalized / value, for the first three of the planes that share a row of values.

    Where the value is 0, out is the equalized value. Planes beyond three are left alone.
    """
    cdef Planes shape = Planes(planes.shape[0], planes.shape[0] // values.shape[0],
                               planes.shape[1])
    with nogil:
        run_scale_colors(&planes[0, 0], &values[0, 0], &equalized[0, 0], shape, &out[0, 0])


# Equalization -------------------------------------------------------------------------------------


def equalize(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
             uint8_t[::1] status, Py_ssize_t n_bins, int formula):
    """Equalize each plane by its own CDF into the same row of out, and set its status.

    n_bins = 0: one bin per level. `formula` is the number of one that has a kernel.
    """
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef bint has_memory
    with nogil:
        has_memory = run_equalize(&planes[0, 0], counted, shape, EqualizeRule(n_bins, formula),
                                  &status[0], &out[0, 0])
    check(has_memory)


def find_ranges(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, uint8_t[::1] status,
                double[::1] lows, double[::1] highs):
    """Set the status and the range of the counted pixels of each plane; low > high without any."""
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    with nogil:
        run_find_ranges(&planes[0, 0], counted, shape, &status[0], &lows[0], &highs[0])


def add_level_counts(const level_t[:, ::1] planes, const uint8_t[:, ::1] mask,
                     int64_t[:, ::1] counts):
    """Add the counted pixels of plane p to row p % n_rows of counts (n_rows, n_levels)."""
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    with nogil:
        run_add_level_counts(&planes[0, 0], counted, shape, counts.shape[0], &counts[0, 0])


def add_bin_counts(const real_t[:, ::1] planes, const uint8_t[:, ::1] mask, uint8_t[::1] status,
                   const double[::1] lows, const double[::1] highs, int64_t[:, ::1] counts):
    """Add the counted pixels of plane p to row p % n_rows of counts (n_rows, n_bins).

    The bins are those of numpy.histogram over that row's range [low, high]. Status bit NAN says that
    not all pixels count; REFER is added where the counts are not certain, and nothing is counted.
    """
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef Curves bins = Curves(&lows[0], &highs[0], NULL, NULL, counts.shape[1], False)
    cdef bint has_memory
    with nogil:
        has_memory = run_add_bin_counts(&planes[0, 0], counted, shape, counts.shape[0], bins,
                                        &status[0], &counts[0, 0])
    check(has_memory)


def apply_curves(const real_t[:, ::1] planes, uint8_t[::1] status, curves, bint at_centers,
                 bint is_float32, double output_max, out_t[:, ::1] out):
    """Map plane p by numpy.interp over the bins that `curves` describes.

    curves: (lows (n,), highs (n,), values (n, n_bins), counts (n, n_bins) or None). The values are
    those at the centers of n_bins equal bins, or at their left edges; where counts are given, bins
    without any are left out. Status REFER is added where that is not certain, and nothing written.
    """
    cdef const double[::1] lows = curves[0], highs = curves[1]
    cdef const double[:, ::1] values = curves[2]
    cdef const int64_t[:, ::1] counts = curves[3]
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], None)
    cdef Curves found = Curves(&lows[0], &highs[0], &values[0, 0], NULL, values.shape[1],
                               at_centers)
    cdef bint has_memory
    if counts is not None:
        found.counts = &counts[0, 0]
    with nogil:
        has_memory = run_apply_curves(&planes[0, 0], shape, found, Storage(is_float32, output_max),
                                      &status[0], &out[0, 0])
    check(has_memory)


def look_up(const index_t[:, ::1] planes, const out_t[:, ::1] tables, out_t[:, ::1] out):
    """out = table[x], plane p by row p % n_rows of tables (n_rows, width)."""
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], None)
    with nogil:
        run_look_up(&planes[0, 0], shape, &tables[0, 0], tables.shape[0], tables.shape[1],
                    &out[0, 0])


def narrow_planes(const wide_t[:, ::1] planes, const uint8_t[:, ::1] mask, uint8_t[::1] status,
                  uint16_t[:, ::1] out):
    """Write levels less their plane's least counted one; status REFER where these exceed 65,535.

    Pixels that do not count are brought into the counted range.
    """
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    with nogil:
        run_narrow_planes(&planes[0, 0], counted, shape, &status[0], &out[0, 0])


def rank_planes(const ranked_t[:, ::1] planes, const uint8_t[:, ::1] mask, int32_t[:, ::1] ranks,
                int32_t[:, ::1] counts):
    """Set the rank of each pixel among the distinct counted values of its plane, and the counts
    (n_planes, n_pixels) of these; return the largest number of distinct values.
    """
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef int32_t n_distinct = 0
    cdef bint has_memory
    with nogil:
        has_memory = run_rank_planes(&planes[0, 0], counted, shape, &ranks[0, 0], &counts[0, 0],
                                     &n_distinct)
    check(has_memory)
    return n_distinct


# What is learned ----------------------------------------------------------------------------------


def add_lattice_counts(const real_t[:, ::1] planes, const uint8_t[:, ::1] mask,
                       const int64_t[::1] starts, const int32_t[::1] exponents,
                       int64_t[:, ::1] counts):
    """Add the counted pixels of plane p to row p % n_rows of counts (n_rows, n_bins), whose bin i is
    [(start + i) * 2**exponent, (start + i + 1) * 2**exponent).
    """
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef Lattices lattices = Lattices(&starts[0], &exponents[0], counts.shape[1])
    with nogil:
        run_add_lattice_counts(&planes[0, 0], counted, shape, counts.shape[0], lattices,
                               &counts[0, 0])


def look_up_steps(const wide_t[::1] pixels, const wide_t[::1] points, const out_t[::1] values,
                  out_t[::1] out):
    """out = values[k], k being the index of the greatest of increasing points <= x, or 0."""
    cdef bint has_memory
    with nogil:
        has_memory = run_look_up_steps(&pixels[0], pixels.shape[0], &points[0], points.shape[0],
                                         &values[0], &out[0])
    check(has_memory)


def interpolate_at(const real_t[::1] x, const double[:, ::1] knots, bint is_float32,
                   double output_max, out_t[::1] out):
    """numpy.interp(x, points, values) into out; knots (3, n_points) are increasing points, values
    and the slopes behind each point. Return REFER, and write nothing, where that is not certain.
    """
    cdef ptrdiff_t n_points = knots.shape[1]
    cdef Knots found = Knots(&knots[0, 0], &knots[1, 0], &knots[2, 0], n_points)
    cdef int status = 0
    cdef bint has_memory
    with nogil:
        has_memory = run_interpolate_at(&x[0], x.shape[0], found, Storage(is_float32, output_max),
                                        &status, &out[0])
    check(has_memory)
    return status


def find_level_quantiles(const level_t[:, ::1] planes, const uint8_t[:, ::1] mask,
                         uint8_t[::1] status, double[:, ::1] quantiles):
    """Set the order statistics (n_planes, n_quantiles) of each plane, and its status."""
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef bint has_memory
    with nogil:
        has_memory = run_find_level_quantiles(&planes[0, 0], counted, shape, quantiles.shape[1],
                                              &status[0], &quantiles[0, 0])
    check(has_memory)


def match(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
          uint8_t[::1] status, Py_ssize_t channel, Py_ssize_t n_channels,
          const double[:, ::1] target, double n_below=0, double n_counted=0):
    """Map the planes of one channel to a target distribution, into the same rows of out.

    target (3, n): increasing shares of the pixels, the values there, and the slopes behind them.
    n_below, n_counted: where a row is a range of a plane's values, how many pixels of the plane
    are below, and all of them.
    """
    cdef Planes shape = Planes(planes.shape[0], n_channels, planes.shape[1])
    cdef const uint8_t* counted = start_of(mask)
    cdef Target found = Target(&target[0, 0], &target[1, 0], &target[2, 0], target.shape[1],
                               n_below, n_counted)
    cdef bint has_memory
    with nogil:
        has_memory = run_match(&planes[0, 0], counted, shape, channel, found, &status[0],
                               &out[0, 0])
    check(has_memory)


# CLAHE --------------------------------------------------------------------------------------------


cdef class Tiles:
    """Where the tiles of planes of one shape lie.

    rows, columns : the tiles' edges (n, 2), or, for the peers' equal tiles, their pixels (n, side)
    between (2, height) : the rows of tiles around each row of pixels
    places (width,) : where a pixel's two tiles begin in a row of tables
    fy (height,), shares (width, 2) : the shares of the lower row, of the left and the right tile
    """

    cdef Tiling tiling
    cdef tuple arrays

    def __init__(self, const int32_t[:, ::1] rows, const int32_t[:, ::1] columns,
                 const int32_t[:, ::1] between, const int32_t[::1] places, const double[::1] fy,
                 const double[:, ::1] shares):
        self.arrays = (rows, columns, between, places, fy, shares)  # they own the memory
        self.tiling = Tiling(
            &rows[0, 0], &columns[0, 0], &between[0, 0], &between[1, 0], &places[0], &fy[0],
            &shares[0, 0], columns.shape[0], rows.shape[1], columns.shape[1], fy.shape[0],
            places.shape[0], 0, fy.shape[0])

    cdef Tiling within(self, rows):
        """Return the tiling for a slice of the rows of pixels."""
        cdef Tiling part = self.tiling
        part.begin, part.end, _ = rows.indices(part.height)
        return part


def adapt(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
          uint8_t[::1] status, Tiles tiles, rows, rule):
    """The package's own CLAHE of each plane (height * width,), into the same row of out.

    Only the slice `rows` of the rows of pixels is written. rule: (clip_limit, n_bins, is_float32),
    the limit infinite for none. Status REFER: the bins are not certain, and nothing is written.
    """
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef Tiling tiling = tiles.within(rows)
    cdef AdaptRule limits = AdaptRule(rule[0], rule[1], rule[2])
    cdef bint has_memory
    with nogil:
        has_memory = run_adapt(&planes[0, 0], counted, shape, tiling, limits, &status[0],
                               &out[0, 0])
    check(has_memory)


def adapt_opencv(const level_t[:, ::1] planes, level_t[:, ::1] out, Tiles tiles, rows, rule):
    """cv2.createCLAHE of each plane; the limit of the rule is a number of pixels."""
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], None)
    cdef Tiling tiling = tiles.within(rows)
    cdef AdaptRule limits = AdaptRule(rule[0], rule[1], rule[2])
    cdef bint has_memory
    with nogil:
        has_memory = run_adapt_opencv(&planes[0, 0], shape, tiling, limits, &out[0, 0])
    check(has_memory)


def adapt_skimage(const level_t[:, ::1] planes, out_t[:, ::1] out, Tiles tiles, rule):
    """skimage.exposure.equalize_adapthist of each plane; the limit is a number of pixels."""
    cdef Planes shape = planes_of(planes.shape[0], planes.shape[1], None)
    cdef Tiling tiling = tiles.tiling
    cdef AdaptRule limits = AdaptRule(rule[0], rule[1], rule[2])
    cdef bint has_memory
    with nogil:
        has_memory = run_adapt_skimage(&planes[0, 0], shape, tiling, limits, &out[0, 0])
    check(has_memory)


def blend_skimage_rows(const uint16_t[:, ::1] codes, uint16_t[:, ::1] out, Tiles tiles, rows, rule):
    """The blend of equalize_adapthist between the tiles of one plane of bin numbers (1, n_pixels).

    Only the slice `rows` of the rows of pixels is written.
    """
    cdef Tiling tiling = tiles.within(rows)
    cdef AdaptRule limits = AdaptRule(rule[0], rule[1], rule[2])
    cdef bint has_memory
    with nogil:
        has_memory = run_blend_skimage_rows(&codes[0, 0], tiling, limits, &out[0, 0])
    check(has_memory)


# Local equalization -------------------------------------------------------------------------------


def equalize_locally(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
                     uint8_t[::1] status, shape, Py_ssize_t radius, rows, rule):
    """Equalize each pixel of each plane by the window around it, into the same row of out.

    shape: (height, width) of the planes; only the slice `rows` of the rows of pixels is written.
    rule: (is_peer, is_float32), whether values are scikit-image's levels, of the planes' own type,
    and whether the images are in single precision.
    """
    cdef Planes of_planes = planes_of(planes.shape[0], planes.shape[1], mask)
    cdef const uint8_t* counted = start_of(mask)
    cdef Windows windows = Windows(shape[0], shape[1], radius, 0, 0, rule[0], rule[1])
    cdef bint has_memory
    windows.begin, windows.end, _ = rows.indices(shape[0])
    with nogil:
        has_memory = run_equalize_locally(&planes[0, 0], counted, of_planes, windows, &status[0],
                                          &out[0, 0])
    check(has_memory)
