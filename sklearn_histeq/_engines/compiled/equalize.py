"""The compiled engine: brings planes to a type that the kernels know, and gives them scratch.

What the kernels do not cover goes to the reference engine, plane by plane: planes that take ranks,
integers spread too widely for 16 bits, `output_distribution="normal"`. The bits are the same.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..._arithmetic import counts as _counts
from ..._arithmetic import output as _output
from ..._arithmetic import transfer as _transfer
from ..._arithmetic.conventions import NUMPY, SKIMAGE, EqualizeConvention, EqualizeRule
from ..._arithmetic.status import EMPTY, INF
from . import _kernels

# Set by the kernels for a plane that they leave to the reference.
REFER = 128
LEVELS = EqualizeRule("auto", SKIMAGE, "uniform")
# The types that kernels read and write, with the number of levels of the integers.
N_LEVELS = {np.dtype(t): n for t, n in (("u1", 256), ("u2", 65536), ("f4", 0), ("f8", 0))}
# Planes that must be copied are copied so many pixels at a time; larger ones go in parts.
N_COPIED = 2**17
# A plane that threads may share is divided into parts of so many pixels.
N_PART = 2**20
# Kernels number pixels in 32 bits, and the scratch for more bins would be large.
MOST_PIXELS, MOST_BINS = 2**31 - 1, 2**18


class Plan(NamedTuple):
    """What is the same for every plane of a call."""

    pixel: np.dtype  # that the kernels read
    n_bins: int  # 0: a bin a level
    convention: EqualizeConvention
    convention_code: int  # the formula's number in the kernels
    own_dtype: np.dtype  # the convention's own output type
    is_wide: bool  # levels of four or eight bytes, which the kernels read less their minimum
    n_scratch: int  # bytes

    def scratch(self):
        """Return scratch for one kernel at a time."""
        return np.empty(self.n_scratch, np.uint8)


def equalize(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by its own CDF into out; see `reference.equalize`.

    map_parts(function, parts), like the builtin map but perhaps in threads, shares the work on a
    plane of many pixels.
    """
    plan = _plan(planes.dtype, rule)
    if plan is None or planes.shape[2] * planes.shape[3] > MOST_PIXELS:
        return _refer(planes, mask, out, rule)
    if planes.dtype.kind == "b":
        planes = planes.view(np.uint8)
    if planes.strides[2] < planes.strides[3]:
        # column by column in memory: no histogram minds
        planes, out = planes.swapaxes(2, 3), out.swapaxes(2, 3)
        mask = None if mask is None else mask.swapaxes(1, 2)
    status, found = _equalize(planes, mask, out, plan, map_parts)
    if found & REFER:
        for i, channel in np.argwhere(status & REFER):
            image, plane = slice(i, i + 1), slice(channel, channel + 1)
            counted = None if mask is None else mask[image]
            status[image, plane] = _refer(planes[image, plane], counted, out[image, plane], rule)
    return status


def apply(planes, mask, out, transfers, convention):
    """Map each plane by the learned transfer function of its channel; see `reference.apply`."""
    status = _status(planes, mask)
    for channel, curve in enumerate(transfers):
        maps = _mapping(planes.dtype, out.dtype, curve, convention)
        if maps is None:
            part = slice(channel, channel + 1)
            _reference().apply(planes[:, part], mask, out[:, part], [curve], convention)
            continue
        for piece in _pieces(planes.shape, channel):
            maps(planes[piece], out[piece])
        for i in np.flatnonzero(status[:, channel] & EMPTY):
            out[i, channel] = np.nan if out.dtype.kind == "f" else 0
    return status


def count_levels(planes, mask):
    """Return the `_counts.Levels` of each channel's counted pixels, and the planes' status."""
    if planes.dtype.kind == "f" or planes.dtype.itemsize > 2:
        return _reference().count_levels(planes, mask)
    levels = _all_levels(planes.dtype)
    plan = _plan(planes.dtype, LEVELS)
    states = []
    for channel in range(planes.shape[1]):
        counts = np.zeros(len(levels), np.int64)
        _add_counts(planes, mask, channel, 0, len(levels) - 1, plan, counts)
        counted = np.flatnonzero(counts)
        states.append(_counts.Levels(levels[counted], counts[counted]))
    return states, _status(planes, mask)


def count_lattice(planes, mask):
    """Return the `_counts.Lattice` of each channel's counted floats, and the planes' status."""
    return _reference().count_lattice(planes, mask)


def count_bins(planes, mask, edges):
    """Return each channel's counts over its edges, and the planes' status; 0 without edges."""
    status = _status(planes, mask)
    counts = [
        _bin_counts(planes, mask, channel, edges[channel]) for channel in range(planes.shape[1])
    ]
    if (status & INF).any() or any(channel is None for channel in counts):
        return _reference().count_bins(planes, mask, edges)
    return counts, status


def use_simd(allowed):
    """Choose the best instruction set of this processor, or the portable loops."""
    _kernels.use_simd(allowed)


def instruction_set():
    """Return the name of the instruction set that the kernels use."""
    return _kernels.instruction_set()


def _reference():
    """Return the reference engine, imported when first needed: scikit-image takes its time."""
    from .. import reference

    return reference


def _refer(*arguments):
    """Equalize by the reference engine."""
    return _reference().equalize(*arguments)


@lru_cache(maxsize=128)
def _plan(dtype, rule):
    """Return how the kernels take planes of a dtype, or None where they do not."""
    kind, itemsize = dtype.kind, dtype.itemsize
    n_bins = rule.bins_of(dtype)
    may_be_ranked = rule.n_bins == "auto" and n_bins is not None and kind in "iu" and itemsize == 8
    n_bins = n_bins or 0
    if (
        rule.formula.kernel is None
        or kind not in "biuf"
        or itemsize > 8
        or may_be_ranked
        or n_bins > MOST_BINS
    ):
        return None
    pixel = _pixel_dtype(kind, itemsize, n_bins)
    is_wide = n_bins == 0 and kind in "iu" and itemsize > 2
    own_dtype = rule.convention.default_output_dtype(dtype)
    n_scratch = _kernels.scratch_size(n_bins, N_LEVELS[pixel])
    code = rule.formula.kernel
    return Plan(pixel, n_bins, rule.convention, code, own_dtype, is_wide, n_scratch)


def _pixel_dtype(kind, itemsize, n_bins):
    """Return the type in which the kernels read pixels of a kind."""
    if kind == "f":
        return np.dtype(np.float64 if itemsize == 8 else np.float32)
    if itemsize == 1 and kind in "bu":
        return np.dtype(np.uint8)
    if n_bins == 0:
        return np.dtype(np.uint8 if itemsize == 1 else np.uint16)
    return np.dtype(np.uint16 if kind == "u" and itemsize == 2 else np.float64)


def _equalize(planes, mask, out, plan, map_parts):
    """Equalize planes into out; return their status, and the bits found in any of it."""
    n_pixels = planes.shape[2] * planes.shape[3]
    if is_plain(planes, plan.pixel) and out.dtype in N_LEVELS and is_plain(out, out.dtype):
        if map_parts is None or n_pixels <= N_PART:
            return _equalize_block(planes, mask, out, plan)
    elif n_pixels <= N_COPIED and not plan.is_wide:
        return _equalize_copies(planes, mask, out, plan)
    return _each_plane(planes, mask, out, plan, map_parts or map)


def _equalize_copies(planes, mask, out, plan):
    """Equalize planes that are copied, so many at a time."""
    status, found = np.empty(planes.shape[:2], np.uint8), 0
    for part in pieces(planes, True):
        counted = None if mask is None else mask[part]
        pixels, written = as_pixels(planes[part], plan.pixel), _writable(out[part], plan)
        status[part], bits = _equalize_block(pixels, counted, written, plan)
        _write(written, out[part], plan)
        found |= bits
    return status, found


def _equalize_block(planes, mask, out, plan):
    """Equalize planes that the kernel can read, into out that it can write, in one call."""
    n, c, height, width = planes.shape
    rows = (n * c, height * width)
    if mask is not None:
        mask = np.ascontiguousarray(mask).view(np.uint8).reshape(n, -1)
    status = np.empty(n * c, np.uint8)
    found = kernel_for("equalize", plan.pixel, out.dtype)(
        planes.reshape(rows),
        mask,
        out.reshape(rows),
        status,
        plan.n_bins,
        plan.convention_code,
        plan.scratch(),
    )
    return status.reshape(n, c), found


@lru_cache(maxsize=128)
def kernel_for(name, *dtypes):
    """Return the specialisation of a fused kernel for its pixel and output types."""
    c_types = {"uint8": "uint8_t", "uint16": "uint16_t", "float32": "float", "float64": "double"}
    return getattr(_kernels, name)["|".join(c_types[dtype.name] for dtype in dtypes)]


def is_plain(array, dtype):
    """Tell whether a kernel takes an array as it is."""
    flags = array.flags
    return array.dtype == dtype and flags.c_contiguous and flags.aligned


def as_pixels(planes, pixel):
    """Return planes as the kernels read them: contiguous, native, ordered as their intensities."""
    if planes.dtype.kind == "i" and pixel.kind == "u":
        # two's complement with the sign bit flipped is in order
        native = np.ascontiguousarray(planes, planes.dtype.newbyteorder("="))
        return native.view(pixel) ^ pixel.type(1 << 8 * pixel.itemsize - 1)
    return np.require(planes, pixel, ["C", "A"])


def pieces(planes, is_copied):
    """Return slices of images: all where none is copied, else so many pixels at a time."""
    n, *shape = planes.shape
    n_images = max(1, N_COPIED // int(np.prod(shape))) if is_copied else n
    return [slice(start, start + n_images) for start in range(0, n, n_images)]


def _writable(out, plan):
    """Return out, or else an array that a kernel can write, of out's or the convention's type."""
    if out.dtype not in N_LEVELS:
        return np.empty(out.shape, plan.own_dtype)
    return out if is_plain(out, out.dtype) else np.empty(out.shape, out.dtype)


def _write(written, out, plan):
    """Bring what a kernel has written into out, if it was written elsewhere."""
    if written is out:
        return
    if written.dtype == out.dtype:
        out[...] = written
    else:
        _output.store(written, out, plan.convention.output_max)


# One plane at a time, in parts --------------------------------------------------------------------


def _each_plane(planes, mask, out, plan, map_parts):
    """Equalize one plane after the other, each in parts; return as `_equalize`."""
    status = np.empty(planes.shape[:2], np.uint8)
    for i, channel in np.ndindex(status.shape):
        counted = None if mask is None else mask[i]
        parts = _InParts(planes[i, channel], counted, out[i, channel], plan, map_parts)
        status[i, channel] = parts.equalize()
    return status, int(np.bitwise_or.reduce(status, axis=None))


class _InParts:
    """A plane that is worked on in parts: their range, their counts, then their values.

    Parameters
    ----------
    plane, mask, out : ndarray of shape (h, w)
        mask may be None.
    plan : Plan
    map_parts : callable
        Like the builtin map.
    """

    def __init__(self, plane, mask, out, plan, map_parts):
        self.plane, self.mask, self.out = plane, mask, out
        self.plan, self.map_parts = plan, map_parts
        self.low, self.high = 0, 0
        self.counts: Any = None
        is_read = plane.dtype == plan.pixel and plane.flags.c_contiguous
        self.parts = _parts(plane.shape, N_PART if is_read else N_COPIED)

    def equalize(self):
        """Equalize the plane; return its status."""
        status = self.find_range()
        if status & (INF | EMPTY):
            self.out[...] = np.nan if self.out.dtype.kind == "f" else 0
            return status
        if self.plan.is_wide and self.high - self.low >= N_LEVELS[np.dtype(np.uint16)]:
            return status | REFER
        if self.low == self.high and not self.plan.convention.has_all_levels:
            self._each(self._fill)
            return status
        if not self._add_counts():
            return status | REFER
        self._each(self._apply)
        return status

    def _add_counts(self):
        """Set counts to the sum of those of the parts; tell whether that is certain to be exact."""
        for counts in self.map_parts(self._count, self.parts):
            if counts is None:
                return False
            self.counts = counts if self.counts is None else self.counts + counts
        return True

    def _each(self, function):
        """Return the results of a function of each part."""
        return list(self.map_parts(function, self.parts))

    def _pixels(self, part):
        """Return a part of the plane as the kernels read it."""
        if self.plan.is_wide:
            clipped = self.plane[part].clip(self.low, self.high)
            return (clipped - clipped.dtype.type(self.low)).astype(np.uint16).ravel()
        return as_pixels(self.plane[part], self.plan.pixel).ravel()

    def _counted(self, part):
        """Return a part of the mask as the kernels read it."""
        return None if self.mask is None else _as_bytes(self.mask[part])

    def find_range(self):
        """Set low and high to the counted range; return the plane's status."""
        ranges = self._each(self._range_of_part)
        status = 0
        for part, _, _ in ranges:
            status |= part & ~EMPTY
        counted = [limits for part, *limits in ranges if not part & EMPTY]
        if not counted:
            return status | EMPTY
        self.low, self.high = min(low for low, _ in counted), max(high for _, high in counted)
        return status

    def _range_of_part(self, part):
        """Return (status, low, high) of a part."""
        if not self.plan.is_wide:
            return kernel_for("plane_range", self.plan.pixel)(
                self._pixels(part), self._counted(part)
            )
        pixels = self.plane[part]
        pixels = pixels.ravel() if self.mask is None else pixels[self.mask[part]]
        return (0, int(pixels.min()), int(pixels.max())) if pixels.size else (EMPTY, 0, 0)

    def _first(self):
        """Return the first and the last level that is counted, as the kernels read it."""
        return (0, self.high - self.low) if self.plan.is_wide else (self.low, self.high)

    def _count(self, part):
        """Return the counts of a part, or None where they are not certain to be exact."""
        low, high = self._first()
        pixel = self.plan.pixel
        if self.plan.n_bins == 0 and pixel == np.uint8:
            low, high = 0, 255
        n = int(high - low) + 1 if N_LEVELS[pixel] else 2 * self.plan.n_bins + 1
        counts = np.zeros(n, np.int64)
        pixels, counted = self._pixels(part), self._counted(part)
        rest = self.plan.n_bins, self.plan.convention_code, counts, self._scratch(n)
        certain = kernel_for("add_counts", pixel)(pixels, counted, low, high, *rest)
        return counts if certain else None

    def _apply(self, part):
        """Map a part by the transfer function of the plane's counts."""
        low, high = self._first()
        plan, out = self.plan, self.out[part]
        written = _writable(out, plan)
        kernel = kernel_for("apply_counts", plan.pixel, written.dtype)
        pixels = self._pixels(part)
        scratch = self._scratch(len(self.counts))
        kernel(
            pixels,
            low,
            high,
            plan.n_bins,
            plan.convention_code,
            self.counts,
            written.reshape(-1),
            scratch,
        )
        _write(written, out, plan)

    def _scratch(self, n_counts):
        """Return scratch for so many counts."""
        n_levels = n_counts if N_LEVELS[self.plan.pixel] else 0
        return np.empty(_kernels.scratch_size(self.plan.n_bins, n_levels), np.uint8)

    def _fill(self, part):
        """Write the brightest value to all pixels of a part but NaN."""
        top = self.plan.convention.output_max
        values = np.full(self.plane[part].shape, top, self.plan.own_dtype)
        if self.plane.dtype.kind == "f":
            values[np.isnan(self.plane[part])] = np.nan
        _output.store(values, self.out[part], top)


def _parts(shape, n_pixels):
    """Return index slices that divide a plane of a shape into parts of about so many pixels."""
    axis = 0 if shape[0] > 1 else 1
    step = max(1, n_pixels * shape[axis] // (shape[0] * shape[1]))
    slices = [slice(start, start + step) for start in range(0, shape[axis], step)]
    return slices if axis == 0 else [(slice(None), part) for part in slices]


# Learned states, channel by channel ---------------------------------------------------------------


def _pieces(shape, channel):
    """Return index tuples that divide a channel into pieces of about N_COPIED pixels."""
    n, _, height, width = shape
    if height * width > N_COPIED:
        parts = [
            part if isinstance(part, tuple) else (part,)
            for part in _parts((height, width), N_COPIED)
        ]
        return [(i, channel, *part) for i in range(n) for part in parts]
    step = N_COPIED // (height * width)
    return [(slice(start, start + step), channel) for start in range(0, n, step)]


def _status(planes, mask):
    """Return the status of planes."""
    status = np.zeros(planes.shape[:2], np.uint8)
    if planes.dtype.kind != "f":
        if mask is not None:
            status[~mask.any(axis=(1, 2))] = EMPTY
        return status
    plan = _plan(planes.dtype, LEVELS)
    for i, channel in np.ndindex(status.shape):
        counted = None if mask is None else mask[i]
        status[i, channel] = _InParts(planes[i, channel], counted, None, plan, map).find_range()
    return status


def _all_levels(dtype):
    """Return all levels of an integer type of one or two bytes, or of bool, in order."""
    if dtype == np.bool_:
        return np.array([False, True])
    limits = np.iinfo(dtype)
    return np.arange(int(limits.min), int(limits.max) + 1).astype(dtype.newbyteorder("="))


def _add_counts(planes, mask, channel, low, high, plan, counts):
    """Add the counted pixels of a channel to counts; tell whether that is certain to be exact."""
    kernel, scratch = kernel_for("add_counts", plan.pixel), plan.scratch()
    planes = planes.view(np.uint8) if planes.dtype == np.bool_ else planes
    for piece in _pieces(planes.shape, channel):
        pixels = as_pixels(planes[piece], plan.pixel).ravel()
        counted = None if mask is None else _as_bytes(mask[(piece[0], *piece[2:])])
        if not kernel(
            pixels, counted, low, high, plan.n_bins, plan.convention_code, counts, scratch
        ):
            return False
    return True


def _as_bytes(mask):
    """Return a mask as the kernels read it."""
    return np.ascontiguousarray(mask).view(np.uint8).ravel()


def _bin_counts(planes, mask, channel, edges):
    """Return a channel's counts over edges that bound its pixels; None: ask the reference."""
    if edges is None:
        return 0
    plan = _plan(planes.dtype, EqualizeRule(len(edges) - 1, NUMPY, "uniform"))
    if plan is None or plan.pixel != edges.dtype:
        return None
    counts = np.zeros(len(edges), np.int64)
    if not _add_counts(planes, mask, channel, edges[0], edges[-1], plan, counts):
        return None
    counts[-2] += counts[-1]  # the last bin holds its right edge too
    return counts[:-1]


def _mapping(dtype, out_dtype, curve, convention):
    """Return a function that maps arrays by a curve into others; None: ask the reference."""
    if dtype.kind == "f":
        return _line_mapping(dtype, out_dtype, curve, convention)
    if dtype.itemsize > 2 or out_dtype not in N_LEVELS:
        return None
    return _table_mapping(dtype, out_dtype, curve, convention)


def _table_mapping(dtype, out_dtype, curve, convention):
    """Return the mapping of integers of one or two bytes: a look-up table of all levels."""
    levels = _all_levels(dtype)
    levels = levels.view(np.uint8) if levels.dtype == np.bool_ else levels
    values = _transfer.apply(curve, levels)
    values = values.astype(convention.default_output_dtype(dtype), copy=False)
    table = np.empty(256 if dtype == np.bool_ else len(levels), out_dtype)
    _output.store(values, table[: len(levels)], convention.output_max)
    plan = _plan(dtype, LEVELS)
    kernel = kernel_for("look_up_table", plan.pixel, out_dtype)

    def maps(planes, out):
        planes = planes.view(np.uint8) if planes.dtype == np.bool_ else planes
        written = _writable(out, plan)
        kernel(as_pixels(planes, plan.pixel).ravel(), table, written.reshape(-1))
        _write(written, out, plan)

    return maps


def _line_mapping(dtype, out_dtype, curve, convention):
    """Return the mapping of floats: lines between points as equally spaced as bin centers."""
    if curve.is_step or curve.points.dtype.kind != "f" or len(curve.points) > MOST_BINS:
        return None
    own = convention.default_output_dtype(dtype)
    is_double = dtype.itemsize > 4 or curve.points.dtype.itemsize > 4
    pixel = np.dtype(np.float64 if is_double else np.float32)
    points = curve.points.astype(pixel)
    tol = _unevenness(points)
    if tol is None:
        return None
    plan = _plan(pixel, EqualizeRule(len(points), NUMPY, "uniform"))
    plan = plan._replace(own_dtype=own, convention=convention)
    values, top = curve.values.astype(np.float64), convention.output_max

    def maps(planes, out):
        written = _writable(out, plan)
        kernel = kernel_for("interpolate_at", pixel, written.dtype)
        pixels = np.require(planes, pixel, ["C", "A"]).reshape(-1)
        kernel(
            pixels, points, values, tol, own == np.float32, top, written.reshape(-1), plan.scratch()
        )
        _write(written, out, plan)

    return maps


def _unevenness(points):
    """Return by how much of a spacing equal spacing may miss points; None: by too much."""
    n, low, high = len(points) - 1, float(points[0]), float(points[-1])
    spacing = (high - low) / max(n, 1)
    unit, margin = (
        float(np.finfo(points.dtype).eps) / 2,
        2.0 ** (100 if points.itemsize == 4 else 900),
    )
    if n == 0 or not (spacing * margin >= 1 and max(-low, high) <= margin):
        return None
    places = (points.astype(np.float64) - low) / spacing
    rounding = unit * (16 * n + 4 * max(abs(low), abs(high)) / spacing)
    tol = 2 * rounding + float(np.abs(places - np.arange(n + 1)).max())
    return tol if tol < 0.25 else None
