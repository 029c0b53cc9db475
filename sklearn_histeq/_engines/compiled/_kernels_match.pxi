# Histogram matching: each plane gets a target's distribution. Included by _kernels.pyx.

cdef struct Target:
    # A quantile function: values at increasing shares, and the slopes between them.
    const double* shares
    const double* values
    const double* slopes
    ptrdiff_t n


cdef struct Order:
    # Room to sort the pixels of a plane: (n_pixels,) numbers each.
    uint64_t* keys
    uint64_t* other
    double* results


cdef enum:
    # Digits of 11, 11 and 10 bits of keys of 32.
    N_DIGITS = 2048
    # Runs of equal upper halves up to this length are sorted by insertion.
    N_INSERTED = 16


cdef inline double value_at(Target* target, double share, ptrdiff_t* j) noexcept nogil:
    """np.interp of a share at least as large as that of the call before, which has left j."""
    cdef double distance
    while j[0] + 1 < target.n and target.shares[j[0] + 1] <= share:
        j[0] += 1
    distance = share - target.shares[j[0]]
    if j[0] + 1 == target.n or distance <= 0:  # beyond the ends, or at a point
        return target.values[j[0]]
    return target.slopes[j[0]] * distance + target.values[j[0]]


cdef inline void saturate(double value, bint single, out_t* out) noexcept nogil:
    """Write a value as the output type: cast, or rounded and kept in range; NaN becomes 0."""
    cdef double largest = 65535.0
    if single:
        value = <float> value
    if out_t is float or out_t is double:
        out[0] = <out_t> value
    else:
        if out_t is uint8_t:
            largest = 255.0
        value = value if value > 0 else 0.0
        value = value if value < largest else largest
        out[0] = <out_t> <int32_t> ((value + MAGIC_64) - MAGIC_64)


cdef int match_levels(const level_t* x, const uint8_t* mask, ptrdiff_t n, Target* target,
                      Scratch* scratch, out_t* out) noexcept nogil:
    """Match one plane of levels by a look-up table; returns its status."""
    cdef int32_t low = 0, high = 255, first = 0, level, count
    cdef int32_t* counts = scratch.level_counts
    cdef out_t* table = <out_t*> scratch.table
    cdef double n_counted = 0, cumulative = 0
    cdef ptrdiff_t j = 0
    if level_t is uint16_t:
        find_range(x, mask, n, &low, &high)
        if low > high:
            return IS_EMPTY
    count_plane(x, mask, n, low, high - low + 1, counts)
    for level in range(high - low + 1):
        n_counted += counts[level]
    if n_counted == 0:
        return IS_EMPTY
    while counts[first] == 0:
        first += 1
    for level in range(first, high - low + 1):
        count = counts[level]
        if count:
            cumulative += count
            saturate(value_at(target, cumulative / n_counted, &j), False, &table[level])
        else:
            table[level] = table[level - 1]
    for level in range(first):
        table[level] = table[first]
    if level_t is uint8_t:
        map_all(x, n, table, out)
    else:
        look_up(x, n, low, high, table, out)
    return 0


cdef inline uint64_t ordered(real_t x) noexcept nogil:
    """An integer that sorts as the number does: 32 bits for single precision; -0.0 equals 0.0."""
    cdef uint64_t bits = 0
    cdef uint32_t few
    cdef real_t number = x + <real_t> 0
    if real_t is float:
        memcpy(&few, &number, 4)
        return few ^ (<uint32_t> 0xffffffff if few >> 31 else <uint32_t> 0x80000000)
    else:
        memcpy(&bits, &number, 8)
        return bits ^ (<uint64_t> 0xffffffffffffffff if bits >> 63
                       else <uint64_t> 0x8000000000000000)


cdef inline void pass_digit(const uint64_t* keys, ptrdiff_t n, int shift, uint32_t* counts,
                            uint64_t* out) noexcept nogil:
    """Sort stably by a digit whose counts are given."""
    cdef uint32_t start = 0, count
    cdef ptrdiff_t i, digit
    for i in range(N_DIGITS):
        count = counts[i]
        counts[i] = start
        start += count
    for i in range(n):
        digit = keys[i] >> shift & (N_DIGITS - 1)
        out[counts[digit]] = keys[i]
        counts[digit] += 1


cdef void sort_upper(uint64_t* keys, ptrdiff_t n, uint64_t* other) noexcept nogil:
    """Sort by the upper 32 bits, stably; the result is in keys."""
    cdef uint32_t[3 * 2048] counts
    cdef uint64_t* swap
    cdef ptrdiff_t i
    cdef int digit, n_passes = 0
    cdef uint64_t* source = keys
    cdef uint64_t* result = other
    memset(counts, 0, sizeof(counts))
    for i in range(n):
        counts[keys[i] >> 32 & (N_DIGITS - 1)] += 1
        counts[N_DIGITS + (keys[i] >> 43 & (N_DIGITS - 1))] += 1
        counts[2 * N_DIGITS + (keys[i] >> 54)] += 1
    for digit in range(3):
        if counts[digit * N_DIGITS + (keys[0] >> (32 + 11 * digit) & (N_DIGITS - 1))] == n:
            continue  # all have the same digit
        pass_digit(source, n, 32 + 11 * digit, counts + digit * N_DIGITS, result)
        swap = source
        source = result
        result = swap
        n_passes += 1
    if n_passes & 1:
        memcpy(keys, other, n * sizeof(uint64_t))


cdef void sort_run(const real_t* x, uint64_t* run, ptrdiff_t n, uint64_t* other) noexcept nogil:
    """Sort a run of equal upper halves by the lower halves, which take their place."""
    cdef ptrdiff_t i, k
    cdef uint64_t key
    for i in range(n):
        key = run[i] & <uint64_t> 0xffffffff
        run[i] = ordered(x[key]) << 32 | key
    for i in range(1, n):
        if run[i] >> 32 != run[0] >> 32:
            break
    else:
        return
    if n > N_INSERTED:
        sort_upper(run, n, other)
        return
    for i in range(1, n):
        key, k = run[i], i
        while k > 0 and run[k - 1] > key:
            run[k] = run[k - 1]
            k -= 1
        run[k] = key


cdef ptrdiff_t write_run(const uint64_t* run, ptrdiff_t n, ptrdiff_t before, double n_counted,
                         bint single, Target* target, ptrdiff_t* j, out_t* out,
                         double* results) noexcept nogil:
    """Map n sorted pixels, before of which come first; results, or NULL, are theirs in order."""
    cdef ptrdiff_t start = 0, stop, i
    cdef out_t value
    cdef double result
    while start < n:
        stop = start + 1
        while stop < n and run[stop] >> 32 == run[start] >> 32:
            stop += 1
        result = value_at(target, <double> (before + stop) / n_counted, j)
        saturate(result, single, &value)
        for i in range(start, stop):
            out[run[i] & <uint64_t> 0xffffffff] = value
            if results != NULL:
                results[before + i] = result
        start = stop
    return before + n


cdef void match_sorted(const real_t* x, ptrdiff_t n_counted, Target* target, Order* order,
                       bint keep, out_t* out) noexcept nogil:
    """Map the pixels numbered by order.keys, sorted by the upper halves of their values."""
    cdef ptrdiff_t start = 0, stop, done = 0, j = 0
    cdef bint single = real_t is float
    cdef double* results = order.results if keep else NULL
    cdef uint64_t* keys = order.keys
    if real_t is float:
        write_run(keys, n_counted, 0, n_counted, single, target, &j, out, results)
        return
    while start < n_counted:
        stop = start + 1
        while stop < n_counted and keys[stop] >> 32 == keys[start] >> 32:
            stop += 1
        if stop > start + 1:
            sort_run(x, keys + start, stop - start, order.other)
        done = write_run(keys + start, stop - start, done, n_counted, single, target, &j, out,
                         results)
        start = stop


cdef void match_uncounted(const real_t* x, const uint8_t* mask, ptrdiff_t n, ptrdiff_t n_counted,
                          Order* order, out_t* out) noexcept nogil:
    """Map the pixels that do not count as the greatest counted one that is no greater; NaN stays.
    """
    cdef ptrdiff_t i, low, high, middle
    cdef bint single = real_t is float
    for i in range(n):
        if x[i] != x[i]:
            saturate(NAN, False, &out[i])
            continue
        if mask == NULL or mask[i]:
            continue
        low, high = 0, n_counted  # the first low pixels are no greater
        while low < high:
            middle = (low + high) // 2
            if x[order.keys[middle] & <uint64_t> 0xffffffff] <= x[i]:
                low = middle + 1
            else:
                high = middle
        saturate(order.results[max(low - 1, 0)], single, &out[i])


cdef int match_reals(const real_t* x, const uint8_t* mask, ptrdiff_t n, Target* target,
                     Order* order, out_t* out) noexcept nogil:
    """Match one plane of floats by sorting it; returns its status."""
    cdef real_t low, high
    cdef int status = real_range(x, mask, n, &low, &high)
    cdef bint weighted = mask != NULL or (status & HAS_NAN) != 0
    cdef ptrdiff_t i, n_counted = 0
    cdef int shift = 0 if real_t is float else 32
    if status & HAS_INF:
        return status
    if status & IS_EMPTY:
        fill(NAN, n, 1.0, out)
        return status
    for i in range(n):
        if not weighted or is_counted(x, mask, i):
            order.keys[n_counted] = ordered(x[i]) >> shift << 32 | <uint64_t> i
            n_counted += 1
    sort_upper(order.keys, n_counted, order.other)
    match_sorted(x, n_counted, target, order, weighted, out)
    if weighted:
        match_uncounted(x, mask, n, n_counted, order, out)
    return status


def match(const pixel_t[:, ::1] planes, const uint8_t[:, ::1] mask, out_t[:, ::1] out,
          uint8_t[::1] status, Py_ssize_t channel, Py_ssize_t n_channels, const double[::1] shares,
          const double[::1] values):
    """Map the planes of one channel to a target distribution, into the same rows of out.

    planes (n_images * n_channels, n_pixels); mask (n_images, n_pixels) or None. The target's values
    are reached at increasing shares of the pixels, with finite slopes between them. status
    (n_planes,) is set to the bits of _status.py.
    """
    cdef ptrdiff_t p, i, n = planes.shape[1], n_levels = 0
    cdef const uint8_t* counted = NULL
    cdef bint masked = mask is not None
    cdef Target target
    cdef Order order
    cdef Scratch arrays
    cdef uint64_t[::1] keys
    cdef double[::1] results
    cdef uint8_t[::1] scratch
    cdef double[::1] slopes = np.diff(values) / np.diff(shares)
    target.shares, target.values, target.n = &shares[0], &values[0], shares.shape[0]
    target.slopes = &slopes[0] if slopes.shape[0] else NULL
    if pixel_t is uint8_t or pixel_t is uint16_t:
        n_levels = 256 if pixel_t is uint8_t else 65536
        scratch = np.empty(scratch_size(0, n_levels), np.uint8)
        lay_out(0, n_levels, aligned(&scratch[0]), &arrays)
    else:
        keys, results = np.empty(2 * n, np.uint64), np.empty(n, np.float64)
        order.keys, order.other, order.results = &keys[0], &keys[0] + n, &results[0]
    with nogil:
        for i in range(planes.shape[0] // n_channels):
            p = i * n_channels + channel
            if masked:
                counted = &mask[i, 0]
            if pixel_t is uint8_t or pixel_t is uint16_t:
                status[p] = match_levels(&planes[p, 0], counted, n, &target, &arrays, &out[p, 0])
            else:
                status[p] = match_reals(&planes[p, 0], counted, n, &target, &order, &out[p, 0])
