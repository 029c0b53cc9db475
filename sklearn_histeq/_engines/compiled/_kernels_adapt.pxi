# CLAHE: a transfer function a tile. Included by _kernels.pyx.
#
# The tables of two rows of tiles are kept, those that surround a row of pixels: row k in slot k % 2.
# Entry [code, tile]; LANES is the number of tiles of a row, rounded up to a multiple of eight.

cdef extern from "_tiles.h" nogil:
    enum: EIGHT
    const float MAGIC_32

    void count_lanes(const uint8_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t, int32_t*)
    void opencv_tables(const int32_t*, const int32_t*, ptrdiff_t, ptrdiff_t, int32_t, int32_t,
                       float, ptrdiff_t, uint16_t*)
    void index_bytes(const uint8_t*, ptrdiff_t, int32_t, const int32_t*, int32_t*)
    void index_codes(const uint16_t*, ptrdiff_t, int32_t, const int32_t*, int32_t*)
    void blend_opencv(const uint16_t*, const uint16_t*, const int32_t*, const float*,
                      const float*, float, ptrdiff_t, int32_t*)
    void narrow_to_u8(const int32_t*, ptrdiff_t, uint8_t*)
    void narrow_to_u16(const int32_t*, ptrdiff_t, uint16_t*)
    void clip_and_share(int32_t*, ptrdiff_t, int32_t, int32_t*, int32_t*)
    void skimage_tables(const int32_t*, ptrdiff_t, ptrdiff_t, double, double, ptrdiff_t, float*)
    void blend_skimage(const float*, const float*, const int32_t*, const double*, double,
                       ptrdiff_t, int32_t*)
    void sum_over(const int32_t*, ptrdiff_t, ptrdiff_t, const int32_t*, int32_t*, int32_t*)
    void clipped_cdfs(const int32_t*, ptrdiff_t, ptrdiff_t, const double*, const double*,
                      const double*, const double*, double*)
    void level_values(const double*, ptrdiff_t, ptrdiff_t, const int32_t*, const double*, double*)
    void blend_levels(const double*, const double*, const int32_t*, const double*, double,
                      ptrdiff_t, double*)
    void blend_points(const double*, const double*, ptrdiff_t, const int32_t*, const double*,
                      const double*, double, ptrdiff_t, double*)
    void weigh(const double*, const int32_t*, ptrdiff_t, const double*, const double*, int32_t*,
               double*)


cdef inline ptrdiff_t lanes_of(ptrdiff_t n_tiles) noexcept nogil:
    """The number of tiles of a row, rounded up to a multiple of EIGHT."""
    return (n_tiles + EIGHT - 1) // EIGHT * EIGHT


def tile_lanes(Py_ssize_t n_tiles):
    """Return the number of counts that n_tiles tiles of a row take for each code."""
    return lanes_of(n_tiles)


cdef enum:
    IS_FLAT = 64  # of a plane whose counted pixels are all equal; not told to the wrapper


cdef struct Tiling:
    # Where the tiles lie; the arrays are the wrapper's.
    const int32_t* rows  # pixels of the tiles: of each, or the edges between them
    const int32_t* columns
    const int32_t* above  # (height,), row of tiles above each row of pixels
    const int32_t* below
    const int32_t* places  # (width,), where a pixel's pair of tiles begins in a table's row
    ptrdiff_t n_tiles  # of a row
    ptrdiff_t tile_height  # where all are equal
    ptrdiff_t tile_width
    ptrdiff_t height
    ptrdiff_t width


cdef void lay_tiles(const int32_t[:, ::1] rows, const int32_t[:, ::1] columns,
                    const int32_t[:, ::1] between, const int32_t[::1] places,
                    Tiling* tiling) noexcept:
    """Set the tiling of a peer, whose tiles are equal in size."""
    tiling.rows, tiling.columns, tiling.places = &rows[0, 0], &columns[0, 0], &places[0]
    tiling.above, tiling.below = &between[0, 0], &between[1, 0]
    tiling.n_tiles, tiling.tile_width = columns.shape[0], columns.shape[1]
    tiling.tile_height = rows.shape[1]
    tiling.height, tiling.width = between.shape[1], places.shape[0]


# Convention "opencv" ------------------------------------------------------------------------------


cdef ptrdiff_t rank_levels(const level_t* x, ptrdiff_t n, int32_t* ranks,
                           int32_t* levels) noexcept nogil:
    """Number the levels that a plane has; returns how many there are."""
    cdef ptrdiff_t i, n_levels = 256 if level_t is uint8_t else 65536
    cdef int32_t rank = 0
    memset(ranks, 0, n_levels * sizeof(int32_t))
    for i in range(n):
        ranks[x[i]] = 1
    for i in range(n_levels):
        if ranks[i]:
            ranks[i] = rank
            levels[rank] = <int32_t> i
            rank += 1
    return rank


cdef void count_opencv(const level_t* x, ptrdiff_t k, Tiling* tiling, const int32_t* ranks,
                       ptrdiff_t n_codes, level_t* padded, int32_t* counts) noexcept nogil:
    """Count the levels, or ranks, of each tile of row k; padded has room for a row of tiles."""
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), y, t, i, width = tiling.tile_width
    cdef ptrdiff_t n = tiling.n_tiles * width
    cdef const int32_t* rows = tiling.rows + k * tiling.tile_height
    cdef const level_t* row
    memset(counts, 0, n_codes * lanes * sizeof(int32_t))
    for y in range(tiling.tile_height):
        row = x + rows[y] * tiling.width
        if n > tiling.width:
            for i in range(n):
                padded[i] = row[tiling.columns[i]]
            row = padded
        if level_t is uint8_t:
            count_lanes(row, tiling.n_tiles, width, lanes, counts)
        else:
            for i in range(width):
                for t in range(tiling.n_tiles):
                    counts[ranks[row[t * width + i]] * lanes + t] += 1


ctypedef fused entry_t:
    uint16_t
    float


cdef void repeat_outer(entry_t* tables, ptrdiff_t n_codes, ptrdiff_t n_tiles,
                       ptrdiff_t stride) noexcept nogil:
    """Repeat the first and the last tile's values beyond them."""
    cdef ptrdiff_t r
    for r in range(n_codes):
        tables[r * stride] = tables[r * stride + 1]
        tables[r * stride + n_tiles + 1] = tables[r * stride + n_tiles]


cdef struct OpencvArrays:
    int32_t* ranks  # (n_levels,), of the levels that a plane of words has
    int32_t* levels  # (n_codes,), with a rank
    int32_t* counts  # (n_codes, lanes)
    uint16_t* tables  # 2 of (n_codes, lanes + 2)
    int32_t* at  # (width,)
    int32_t* row  # (width,)
    int32_t* padded  # (n_tiles * tile_width,), of the pixels' type


cdef void adapt_opencv_plane(const level_t* x, ptrdiff_t n, level_t* out, Tiling* tiling,
                             const float* fy, const float* shares, int32_t limit,
                             OpencvArrays* a) noexcept nogil:
    """cv2.createCLAHE of one plane of n pixels."""
    cdef int32_t n_levels = 256 if level_t is uint8_t else 65536
    cdef ptrdiff_t n_codes = 256, stride = lanes_of(tiling.n_tiles) + 2, y, k, built = -1, size, i
    cdef ptrdiff_t tile_pixels = tiling.tile_height * tiling.tile_width
    cdef float scale = <float> (n_levels - 1) / <float> tile_pixels
    cdef const level_t* row
    cdef uint16_t* tables
    if level_t is uint16_t:
        n_codes = rank_levels(x, n, a.ranks, a.levels)
    size = n_codes * stride
    for y in range(tiling.height):
        for k in range(built + 1, tiling.below[y] + 1):
            count_opencv(x, k, tiling, a.ranks, n_codes, <level_t*> a.padded, a.counts)
            tables = a.tables + (k & 1) * size
            opencv_tables(a.counts, NULL if level_t is uint8_t else a.levels, n_codes,
                          lanes_of(tiling.n_tiles), limit, n_levels, scale, stride, tables + 1)
            repeat_outer(tables, n_codes, tiling.n_tiles, stride)
            built = k
        row = x + y * tiling.width
        if level_t is uint8_t:
            index_bytes(row, tiling.width, <int32_t> stride, tiling.places, a.at)
        else:
            for i in range(tiling.width):
                a.at[i] = a.ranks[row[i]] * <int32_t> stride + tiling.places[i]
        blend_opencv(a.tables + (tiling.above[y] & 1) * size,
                     a.tables + (tiling.below[y] & 1) * size, a.at, shares,
                     shares + tiling.width, fy[y], tiling.width, a.row)
        if level_t is uint8_t:
            narrow_to_u8(a.row, tiling.width, out + y * tiling.width)
        else:
            narrow_to_u16(a.row, tiling.width, out + y * tiling.width)


def adapt_opencv(const level_t[:, ::1] planes, level_t[:, ::1] out, const int32_t[:, ::1] rows,
                 const int32_t[:, ::1] columns, const int32_t[:, ::1] between,
                 const int32_t[::1] places, const float[::1] fy, const float[:, ::1] shares,
                 int limit, Py_ssize_t n_codes):
    """cv2.createCLAHE of each plane (height * width,), into the same row of out.

    rows (n_tiles_y, tile_height) and columns (n_tiles_x, tile_width) are the pixels of the tiles;
    between (2, height) the rows of tiles around each row of pixels, at the distance fy (height,)
    from the upper; places (width,) the tile to the right of each column, with the shares (2,
    width) of the left and the right one. n_codes is the number of different levels that a plane may
    have.
    """
    cdef Tiling tiling
    cdef OpencvArrays a
    cdef ptrdiff_t p, n = planes.shape[1], stride = lanes_of(columns.shape[0]) + 2
    cdef ptrdiff_t n_levels = 256 if level_t is uint8_t else 65536
    cdef int32_t[::1] ranks = np.empty(n_levels, np.int32), levels = np.empty(n_codes, np.int32)
    cdef int32_t[::1] counts = np.empty(n_codes * lanes_of(columns.shape[0]), np.int32)
    cdef uint16_t[::1] tables = np.empty(2 * n_codes * stride + EIGHT, np.uint16)
    cdef int32_t[:, ::1] rows_of = np.empty((3, columns.shape[0] * columns.shape[1]), np.int32)
    lay_tiles(rows, columns, between, places, &tiling)
    a.ranks, a.levels, a.counts, a.tables = &ranks[0], &levels[0], &counts[0], &tables[0]
    a.at, a.row, a.padded = &rows_of[0, 0], &rows_of[1, 0], &rows_of[2, 0]
    with nogil:
        for p in range(planes.shape[0]):
            adapt_opencv_plane(&planes[p, 0], n, &out[p, 0], &tiling, &fy[0], &shares[0, 0], limit,
                               &a)


# Convention "skimage" -----------------------------------------------------------------------------


cdef struct SkimageArrays:
    uint16_t* codes  # (n,)
    uint16_t* blended  # (n,)
    int32_t* counts  # (n_bins,), of one tile
    int32_t* clipped  # (n_bins, lanes)
    float* tables  # 2 of (n_bins, lanes + 2)
    int32_t* at  # (width,)
    int32_t* row  # (width,)
    double* values  # (width,)


cdef enum:
    N_GRAYS = 16384  # NR_OF_GRAY of skimage.exposure.equalize_adapthist


cdef void stretch_levels(const level_t* x, ptrdiff_t n, ptrdiff_t bin_size,
                         uint16_t* codes) noexcept nogil:
    """Set the bin of each pixel: levels as 16 bits, stretched over N_GRAYS grays, divided."""
    cdef double scale = 257.0 if level_t is uint8_t else 1.0
    cdef double least, width
    cdef int32_t low, high, level
    cdef uint16_t[256] table
    cdef ptrdiff_t i
    find_range(x, NULL, n, &low, &high)
    if low == high:
        level = min(<int32_t> (low * scale), <int32_t> (N_GRAYS - 1))
        for i in range(n):
            codes[i] = <uint16_t> (level // bin_size)
        return
    least, width = low * scale, high * scale - low * scale
    if level_t is uint8_t:
        for i in range(low, high + 1):
            table[i] = <uint16_t> (gray_of(i * scale, least, width) // bin_size)
        for i in range(n):
            codes[i] = table[x[i]]
    else:
        for i in range(n):
            codes[i] = <uint16_t> (gray_of(x[i], least, width) // bin_size)


cdef inline int32_t gray_of(double level, double least, double width) noexcept nogil:
    """rint((level - least) / width * (N_GRAYS - 1)), half to even."""
    return <int32_t> (((level - least) / width * (N_GRAYS - 1) + MAGIC_64) - MAGIC_64)


cdef void clip_skimage(int32_t* counts, ptrdiff_t n_bins, int32_t limit) noexcept nogil:
    """Clip counts at a limit, and share out the excess as skimage's clip_histogram does."""
    cdef int32_t excess, before, step, taken, under
    cdef ptrdiff_t i, k
    clip_and_share(counts, n_bins, limit, &excess, &under)
    while excess > 0:
        before = excess
        for i in range(n_bins):
            step, taken, k = max(1, under // excess), 0, i
            while k < n_bins:
                if counts[k] < limit:
                    counts[k] += 1
                    taken += 1
                    under -= counts[k] == limit
                k += step
            excess -= taken
            if excess <= 0:
                break
        if excess == before:
            break


cdef void build_skimage(const uint16_t* codes, ptrdiff_t k, Tiling* tiling, ptrdiff_t n_bins,
                        int32_t limit, SkimageArrays* a, float* tables) noexcept nogil:
    """Set the tables of row k of the tiles."""
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), t, y, i
    cdef double scale = <double> (N_GRAYS - 1) / <double> (tiling.tile_height * tiling.tile_width)
    cdef const int32_t* rows = tiling.rows + k * tiling.tile_height
    cdef const uint16_t* row
    for t in range(tiling.n_tiles):
        memset(a.counts, 0, n_bins * sizeof(int32_t))
        for y in range(tiling.tile_height):
            row = codes + rows[y] * tiling.width
            for i in range(t * tiling.tile_width, (t + 1) * tiling.tile_width):
                a.counts[row[tiling.columns[i]]] += 1
        clip_skimage(a.counts, n_bins, limit)
        for i in range(n_bins):
            a.clipped[i * lanes + t] = a.counts[i]
    skimage_tables(a.clipped, n_bins, lanes, scale, N_GRAYS - 1, lanes + 2, tables + 1)
    repeat_outer(tables, n_bins, tiling.n_tiles, lanes + 2)


cdef void stretch_row(const uint16_t* x, ptrdiff_t n, int32_t low, int32_t high, bint single,
                      double* values) noexcept nogil:
    """skimage.exposure.rescale_intensity of whole numbers to [0, 1], in the image's precision."""
    cdef ptrdiff_t i
    if low == high:
        for i in range(n):
            values[i] = 1.0 if x[i] else 0.0
    elif single:
        for i in range(n):
            values[i] = <float> (x[i] - low) / <float> (high - low)
    else:
        for i in range(n):
            values[i] = <double> (x[i] - low) / <double> (high - low)


cdef void adapt_skimage_plane(const level_t* x, ptrdiff_t n, out_t* out, Tiling* tiling,
                              const double* fy, const double* shares, ptrdiff_t n_bins,
                              int32_t limit, bint single, SkimageArrays* a) noexcept nogil:
    """skimage.exposure.equalize_adapthist of one plane of n pixels."""
    cdef ptrdiff_t stride = lanes_of(tiling.n_tiles) + 2, size = n_bins * stride, y, k, i
    cdef ptrdiff_t built = -1, width = tiling.width
    cdef int32_t low, high
    stretch_levels(x, n, 1 + N_GRAYS // n_bins, a.codes)
    for y in range(tiling.height):
        for k in range(built + 1, tiling.below[y] + 1):
            build_skimage(a.codes, k, tiling, n_bins, limit, a, a.tables + (k & 1) * size)
            built = k
        index_codes(a.codes + y * width, width, <int32_t> stride, tiling.places, a.at)
        blend_skimage(a.tables + (tiling.above[y] & 1) * size,
                      a.tables + (tiling.below[y] & 1) * size, a.at, shares, fy[y], width, a.row)
        for i in range(width):
            a.blended[y * width + i] = <uint16_t> a.row[i]
    find_range(a.blended, NULL, n, &low, &high)
    for y in range(tiling.height):
        stretch_row(a.blended + y * width, width, low, high, single, a.values)
        store(a.values, width, single, 1.0, out + y * width)


def adapt_skimage(const level_t[:, ::1] planes, out_t[:, ::1] out, const int32_t[:, ::1] rows,
                  const int32_t[:, ::1] columns, const int32_t[:, ::1] between,
                  const int32_t[::1] places, const double[::1] fy, const double[:, ::1] shares,
                  int limit, Py_ssize_t n_bins, bint single):
    """skimage.exposure.equalize_adapthist of each plane (height * width,), into the same row of
    out.

    The arrays are those of `adapt_opencv`, but for shares (width, 2); limit is in pixels; single:
    the images are in single precision.
    """
    cdef Tiling tiling
    cdef SkimageArrays a
    cdef ptrdiff_t p, n = planes.shape[1], lanes = lanes_of(columns.shape[0])
    cdef uint16_t[::1] codes = np.empty(n, np.uint16), blended = np.empty(n, np.uint16)
    cdef int32_t[::1] counts = np.zeros(n_bins * (lanes + 1), np.int32)
    cdef float[::1] tables = np.empty(2 * n_bins * (lanes + 2) + EIGHT, np.float32)
    cdef int32_t[:, ::1] rows_of = np.empty((2, places.shape[0]), np.int32)
    cdef double[::1] values = np.empty(places.shape[0], np.float64)
    lay_tiles(rows, columns, between, places, &tiling)
    a.codes, a.blended, a.tables = &codes[0], &blended[0], &tables[0]
    a.counts, a.clipped = &counts[0], &counts[0] + n_bins
    a.at, a.row, a.values = &rows_of[0, 0], &rows_of[1, 0], &values[0]
    with nogil:
        for p in range(planes.shape[0]):
            adapt_skimage_plane(&planes[p, 0], n, &out[p, 0], &tiling, &fy[0], &shares[0, 0],
                                n_bins, limit, single, &a)


# Convention "histeq" ------------------------------------------------------------------------------


cdef struct HisteqArrays:
    int32_t* counts  # (n_bins, lanes)
    int32_t* of_plane  # (n_bins,), counts of the whole plane
    int32_t* n_counted  # (lanes,), pixels of each tile
    double* cdfs  # (n_bins + 1, lanes)
    double* tables  # 2 of (n_codes + 1, lanes)
    double* points  # (n_bins,), bin centers
    double* ways  # (n_bins,), to the next center
    int32_t* codes  # (256,), a level's code times lanes
    int32_t* bins  # (256,), a level's bin times lanes
    int32_t* below  # (256,) the point below a level
    double* weights  # (256,)
    int32_t* intervals  # (width,)
    int32_t* at  # (width,)
    double* row  # (width,)
    double* row_weights  # (width,)


cdef void set_points(real_t zero, Py_ssize_t n_bins, Scratch* scratch,
                     HisteqArrays* a) noexcept nogil:
    """Set the bin centers, and the ways between them; there is no way beyond the last."""
    cdef const real_t* t = <const real_t*> scratch.thresholds
    cdef Py_ssize_t k
    for k in range(n_bins):
        a.points[k] = t[2 * k + 1]
    for k in range(n_bins - 1):
        a.ways[k] = a.points[k + 1] - a.points[k]
    a.ways[n_bins - 1] = INFINITY


cdef void set_levels(int32_t low, int32_t high, ptrdiff_t lanes, Grid* grid, Scratch* scratch,
                     HisteqArrays* a) noexcept nogil:
    """Set the bin, the code, the point below and the weight of each level of a plane of bytes."""
    cdef ptrdiff_t n_levels = high - low + 1, i, code
    for i in range(n_levels):
        scratch.levels[i] = low + i
    locate(scratch.levels, n_levels, grid, scratch, scratch.intervals)
    weigh(scratch.levels, scratch.intervals, n_levels, a.points, a.ways, a.below, a.weights)
    for i in range(256):
        code = min(max(<int32_t> i, low), high) - low
        a.codes[i] = <int32_t> (code * lanes)
        a.bins[i] = <int32_t> (min(scratch.intervals[code] >> 1, (grid.last >> 1) - 1) * lanes)


cdef void find_row(const pixel_t* x, ptrdiff_t n, Grid* grid, Scratch* scratch,
                   HisteqArrays* a) noexcept nogil:
    """Set the half-interval of each pixel of a row, and the pixels as doubles."""
    cdef ptrdiff_t i
    for i in range(n):
        a.row[i] = <double> x[i]
    if pixel_t is float:
        locate(x, n, grid, scratch, a.intervals)
    else:
        locate(a.row, n, grid, scratch, a.intervals)


cdef void bin_row(const pixel_t* x, ptrdiff_t n, ptrdiff_t lanes, Grid* grid, Scratch* scratch,
                  HisteqArrays* a) noexcept nogil:
    """Set at to the bins of a row of pixels, times lanes."""
    cdef ptrdiff_t i
    cdef int32_t last = (grid.last >> 1) - 1
    if pixel_t is uint8_t:
        for i in range(n):
            a.at[i] = a.bins[x[i]]
    else:
        find_row(x, n, grid, scratch, a)
        for i in range(n):
            a.at[i] = min(a.intervals[i] >> 1, last) * <int32_t> lanes


cdef inline bint is_counted(const pixel_t* x, const uint8_t* mask, ptrdiff_t i) noexcept nogil:
    """Whether a pixel counts: where the mask (or NULL) is true, and it is no NaN."""
    return x[i] == x[i] and (mask == NULL or mask[i])


cdef void count_tiles(const pixel_t* x, const uint8_t* mask, ptrdiff_t k, bint weighted,
                      Tiling* tiling, Py_ssize_t n_bins, Grid* grid, Scratch* scratch,
                      HisteqArrays* a) noexcept nogil:
    """Count the bins of each tile of row k, and its pixels; weighted: not all count."""
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), y, t, i, start
    cdef const uint8_t* counted = NULL
    memset(a.counts, 0, n_bins * lanes * sizeof(int32_t))
    memset(a.n_counted, 0, lanes * sizeof(int32_t))
    for y in range(tiling.rows[k], tiling.rows[k + 1]):
        start = y * tiling.width
        if mask != NULL:
            counted = mask + start
        bin_row(x + start, tiling.width, lanes, grid, scratch, a)
        for t in range(tiling.n_tiles):
            if not weighted:
                for i in range(tiling.columns[t], tiling.columns[t + 1]):
                    a.counts[a.at[i] + t] += 1
                a.n_counted[t] += tiling.columns[t + 1] - tiling.columns[t]
                continue
            for i in range(tiling.columns[t], tiling.columns[t + 1]):
                if is_counted(x + start, counted, i):
                    a.counts[a.at[i] + t] += 1
                    a.n_counted[t] += 1


cdef void count_whole(const pixel_t* x, const uint8_t* mask, Tiling* tiling, Py_ssize_t n_bins,
                      Grid* grid, Scratch* scratch, HisteqArrays* a) noexcept nogil:
    """Count the bins of the whole plane."""
    cdef ptrdiff_t y, i, start
    cdef const uint8_t* counted = NULL
    memset(a.of_plane, 0, n_bins * sizeof(int32_t))
    for y in range(tiling.height):
        start = y * tiling.width
        if mask != NULL:
            counted = mask + start
        bin_row(x + start, tiling.width, lanes_of(tiling.n_tiles), grid, scratch, a)
        for i in range(tiling.width):
            if is_counted(x + start, counted, i):
                a.of_plane[a.at[i] // lanes_of(tiling.n_tiles)] += 1


cdef bint fill_tiles(bint is_known, Tiling* tiling, Py_ssize_t n_bins,
                     HisteqArrays* a) noexcept nogil:
    """Give the plane's counts to the tiles without a counted pixel; False: these are wanted first.
    """
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), t, b
    for t in range(lanes):
        if a.n_counted[t]:
            continue
        if t >= tiling.n_tiles:
            a.n_counted[t] = 1  # no tile: any number will do
            continue
        if not is_known:
            return False
        for b in range(n_bins):
            a.counts[b * lanes + t] = a.of_plane[b]
            a.n_counted[t] += a.of_plane[b]
    return True


cdef inline int32_t least_over(double d, double limit) noexcept nogil:
    """The least count that, with d more, exceeds the limit."""
    cdef int32_t count
    if limit - d >= 2147483000.0:
        return 2147483647
    count = <int32_t> max(limit - d, 0.0)
    while count > 0 and count + d > limit:
        count -= 1
    while not count + d > limit:
        count += 1
    return count


cdef void find_limits(const int32_t* counts, Py_ssize_t n_bins, ptrdiff_t lanes,
                      const int32_t* n_counted, double clip_limit, double* d, double* limit,
                      double* least) noexcept nogil:
    """Set what eight tiles' counts become: max(min(count + d, limit), least); see
    `_reference_adapt.clip_counts`.
    """
    cdef int32_t[8] thresholds, over, sums, n_over
    cdef double m
    cdef int j, n_open = 8
    for j in range(8):
        m = n_counted[j]
        limit[j] = clip_limit * max(m / <double> n_bins, 1.0)
        d[j], least[j], n_over[j] = 0.0, 0.0, 0
    if isinf(clip_limit):
        return
    while n_open:
        for j in range(8):
            thresholds[j] = least_over(d[j], limit[j]) if n_over[j] >= 0 else 2147483647
        sum_over(counts, n_bins, lanes, thresholds, over, sums)
        for j in range(8):
            if n_over[j] < 0:
                continue
            if over[j] <= n_over[j]:
                n_over[j] = -1
                n_open -= 1
                continue
            n_over[j] = over[j]
            if over[j] < n_bins:
                d[j] = (sums[j] - over[j] * limit[j]) / <double> (n_bins - over[j])
                continue
            # all bins reach the limit, which is below a uniform one
            limit[j] = least[j] = <double> n_counted[j] / <double> n_bins
            n_over[j] = -1
            n_open -= 1


cdef void build_tables(const pixel_t* x, const uint8_t* mask, ptrdiff_t k, bint weighted,
                       bint* is_known, Tiling* tiling, Py_ssize_t n_bins, ptrdiff_t n_levels,
                       double clip_limit, Grid* grid, Scratch* scratch, HisteqArrays* a,
                       double* tables) noexcept nogil:
    """Set the tables of row k of the tiles: for bytes the values of levels, else the CDFs."""
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), group, t
    cdef double[8] d, limit, least, n_pixels
    cdef double* cdfs = a.cdfs if pixel_t is uint8_t else tables
    cdef int j
    count_tiles(x, mask, k, weighted, tiling, n_bins, grid, scratch, a)
    if not fill_tiles(is_known[0], tiling, n_bins, a):
        count_whole(x, mask, tiling, n_bins, grid, scratch, a)
        is_known[0] = True
        fill_tiles(True, tiling, n_bins, a)
    for group in range(lanes // EIGHT):
        t = group * EIGHT
        find_limits(a.counts + t, n_bins, lanes, a.n_counted + t, clip_limit, d, limit, least)
        for j in range(8):
            n_pixels[j] = a.n_counted[t + j]
        clipped_cdfs(a.counts + t, n_bins, lanes, d, limit, least, n_pixels, cdfs + t)
    if pixel_t is uint8_t:
        level_values(cdfs, lanes, n_levels, a.below, a.weights, tables)


cdef void blend_row(const pixel_t* x, ptrdiff_t y, Tiling* tiling, double fy, const double* shares,
                    const double* up, const double* down, Grid* grid, Scratch* scratch,
                    HisteqArrays* a) noexcept nogil:
    """Set a.row to the values of row y."""
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), i, n = tiling.width
    if pixel_t is uint8_t:
        for i in range(n):
            a.at[i] = a.codes[x[i]] + tiling.places[i]
        blend_levels(up, down, a.at, shares, fy, n, a.row)
    else:
        find_row(x, n, grid, scratch, a)
        weigh(a.row, a.intervals, n, a.points, a.ways, a.at, a.row_weights)
        for i in range(n):
            a.at[i] = a.at[i] * <int32_t> lanes + tiling.places[i]
        blend_points(up, down, lanes, a.at, a.row_weights, shares, fy, n, a.row)


cdef int plane_grid(const pixel_t* x, const uint8_t* mask, ptrdiff_t n, Py_ssize_t n_bins,
                    ptrdiff_t lanes, Grid* grid, Scratch* scratch, HisteqArrays* a,
                    ptrdiff_t* n_levels) noexcept nogil:
    """Set the bins of a plane; returns its status, or IS_FLAT besides where one level is counted.
    """
    cdef int32_t low_level, high_level
    cdef double low_double, high_double
    cdef pixel_t low, high
    cdef int status = 0
    n_levels[0] = 0
    if pixel_t is float or pixel_t is double:
        status = real_range(x, mask, n, &low, &high)
        if status & (HAS_INF | IS_EMPTY):
            return status
        if low == high:
            return status | IS_FLAT
        if not make_grid(low, high, n_bins, SKIMAGE, scratch, grid):
            return status | REFER
        set_points(low, n_bins, scratch, a)
    else:
        find_range(x, mask, n, &low_level, &high_level)
        if low_level > high_level:
            return IS_EMPTY
        if low_level == high_level:
            return IS_FLAT
        low_double, high_double = low_level, high_level
        if not make_grid(low_double, high_double, n_bins, SKIMAGE, scratch, grid):
            return REFER
        set_points(low_double, n_bins, scratch, a)
        if pixel_t is uint8_t:
            n_levels[0] = high_level - low_level + 1
            set_levels(low_level, high_level, lanes, grid, scratch, a)
    return status


cdef void fill_flat(const pixel_t* x, ptrdiff_t n, Scratch* scratch, out_t* out) noexcept nogil:
    """Write 1 to all pixels; NaN stays."""
    if pixel_t is float or pixel_t is double:
        fill_counted(x, n, 1.0, 1.0, scratch, out)
    else:
        fill(1.0, n, 1.0, out)


cdef int adapt_plane(const pixel_t* x, const uint8_t* mask, ptrdiff_t n, out_t* out,
                     Tiling* tiling, const double* fy, const double* shares, double clip_limit,
                     Py_ssize_t n_bins, Scratch* scratch, HisteqArrays* a) noexcept nogil:
    """The package's own CLAHE of one plane of n pixels; returns its status."""
    cdef ptrdiff_t lanes = lanes_of(tiling.n_tiles), n_levels, y, k, size, built = -1
    cdef Grid grid
    cdef bint is_known = False, single = pixel_t is float
    cdef int status = plane_grid(x, mask, n, n_bins, lanes, &grid, scratch, a, &n_levels)
    cdef bint weighted = mask != NULL or (status & HAS_NAN) != 0
    if status & IS_FLAT:
        fill_flat(x, n, scratch, out)
        return status & ~IS_FLAT
    if status & IS_EMPTY:
        fill(NAN, n, 1.0, out)
    if status & (HAS_INF | IS_EMPTY | REFER):
        return status
    size = ((n_levels if n_levels else n_bins) + 1) * lanes
    for y in range(tiling.height):
        for k in range(built + 1, tiling.below[y] + 1):
            build_tables(x, mask, k, weighted, &is_known, tiling, n_bins, n_levels, clip_limit,
                         &grid, scratch, a, a.tables + (k & 1) * size)
            built = k
        blend_row(x + y * tiling.width, y, tiling, fy[y], shares,
                  a.tables + (tiling.above[y] & 1) * size, a.tables + (tiling.below[y] & 1) * size,
                  &grid, scratch, a)
        store(a.row, tiling.width, single, 1.0, out + y * tiling.width)
    return status


def adapt(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
          uint8_t[::1] status, const int32_t[::1] rows, const int32_t[::1] columns,
          const int32_t[:, ::1] between, const int32_t[::1] places, const double[::1] fy,
          const double[:, ::1] shares, double clip_limit, Py_ssize_t n_bins,
          uint8_t[::1] scratch):
    """The package's own CLAHE of each plane (height * width,), into the same row of out.

    rows (n_tiles_y + 1,) and columns (n_tiles_x + 1,) are where tiles begin and end; between (2,
    height) the rows of tiles around each row of pixels, at the distance fy (height,) from the
    upper; places (width,) the tile to the left of each column, at the shares (width, 2) of the left
    and the right one; clip_limit infinite for none. planes, mask, status and scratch are those of
    `equalize`.
    """
    cdef Py_ssize_t n_planes = planes.shape[0], n = planes.shape[1], width = places.shape[0], p
    cdef ptrdiff_t lanes = lanes_of(columns.shape[0] - 1), n_channels = 1
    cdef const uint8_t* counted = NULL
    cdef bint masked = mask is not None
    cdef uint8_t found = 0
    cdef Scratch arrays
    cdef Tiling tiling
    cdef HisteqArrays a
    cdef ptrdiff_t n_codes = 256 if pixel_t is uint8_t else n_bins
    cdef int32_t[::1] counts = np.empty(n_bins * lanes + n_bins + lanes, np.int32)
    cdef double[::1] tables = np.zeros((n_bins + 2 * n_codes + 4) * lanes, np.float64)
    cdef double[::1] points = np.empty(2 * n_bins + 256 + 2 * width, np.float64)
    cdef int32_t[::1] indices = np.empty(3 * 256 + 2 * width, np.int32)
    tiling.rows, tiling.columns, tiling.places = &rows[0], &columns[0], &places[0]
    tiling.above, tiling.below = &between[0, 0], &between[1, 0]
    tiling.n_tiles, tiling.height, tiling.width = columns.shape[0] - 1, fy.shape[0], width
    a.counts, a.of_plane = &counts[0], &counts[0] + n_bins * lanes
    a.n_counted = a.of_plane + n_bins
    a.cdfs, a.tables = &tables[0], &tables[0] + (n_bins + 1) * lanes
    a.points, a.ways, a.weights = &points[0], &points[0] + n_bins, &points[0] + 2 * n_bins
    a.row, a.row_weights = a.weights + 256, a.weights + 256 + width
    a.codes, a.bins, a.below = &indices[0], &indices[0] + 256, &indices[0] + 512
    a.intervals, a.at = a.below + 256, a.below + 256 + width
    if masked and mask.shape[0]:
        n_channels = n_planes // mask.shape[0]
    lay_out(n_bins, 256 if pixel_t is uint8_t else 0, aligned(&scratch[0]), &arrays)
    with nogil:
        for p in range(n_planes):
            if masked:
                counted = &mask[p // n_channels, 0]
            status[p] = adapt_plane(&planes[p, 0], counted, n, &out[p, 0], &tiling, &fy[0],
                                    &shares[0, 0], clip_limit, n_bins, &arrays, &a)
            found |= status[p]
    return found
