"""The compiled engine's local equalization: brings planes to types that its kernel knows.

Integers of more than two bytes are read as their ranks, which have the same order. A large plane is
worked on in parts, each with the pixels around it that its windows reach. What a part does not see,
the counts for windows without a counted pixel, is read before.
"""

import math
from functools import partial, reduce
from operator import add
from typing import NamedTuple

import numpy as np

from .._arithmetic import output
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import EMPTY
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT32, FLOAT64, UINT16, rows
from .._passes import Part, Passes, Read, around, cut, in_passes
from . import definition, kernels
from .conventions import HISTEQ
from .windows import mid_ranks

# A plane is worked on in parts of so many pixels if threads share it, else in larger ones; and in
# at most so many parts, each of which reads the pixels around it, too.
N_PART, N_ALONE, MOST_PARTS = 2**18, 2**22, 16


def local(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the window around it into out; see `definition.local`."""
    shape = planes.shape[2:]
    plan, whole = _plan(planes.dtype, shape, rule), tuple(slice(0, length) for length in shape)
    n_pixels = plan.n_alone(out) if map_parts is map else N_PART // planes.shape[1]
    places = _places(whole, plan.radii, n_pixels)
    if len(places) == 1 and math.prod(shape) <= arrays.MOST_PIXELS:
        return _write(plan, None, Part(planes, mask, out, whole, whole))
    if max(_n_pixels(around(place, shape, plan.radii)) for place in places) > arrays.MOST_PIXELS:
        return definition.local(planes, mask, out, rule, map_parts)
    status = np.empty(planes.shape[:2], np.uint8)
    equalize = _equalize_ranked if plan.needs_ranks(mask is not None) else _equalize_counted
    for i in range(len(planes)):
        one = slice(i, i + 1)
        counted = None if mask is None else mask[one]
        status[one] = equalize(planes[one], counted, out[one], plan, places, map_parts)
    arrays.fill_unmapped(out, status)
    return status


def passes(whole, rule):
    """Return the `Passes` over parts of planes, or why these must be whole.

    whole : `_passes.Whole`
    """
    plan = _plan(whole.dtype, whole.shape, rule)
    if plan.needs_ranks(whole.is_masked):
        return (
            "windows without a counted pixel take the ranks of the whole image, and only integers "
            "of 8 and 16 bits have few enough levels to be counted"
        )
    return _passes(plan, whole.is_masked)


class Plan(NamedTuple):
    """What is the same for every plane of a call.

    Attributes
    ----------
    pixel : dtype
        The type that the kernel reads.
    own_dtype : dtype
        The convention's own output type for these images.
    is_peer : bool
        Whether the convention is scikit-image's.
    radii : tuple of ints
        How far windows reach along each spatial axis.
    """

    pixel: np.dtype
    own_dtype: np.dtype
    is_peer: bool
    radii: tuple[int, ...]

    def written_dtype(self, dtype):
        """Return the type that the kernel writes for an output of some type."""
        is_known = dtype == self.pixel if self.is_peer else dtype in arrays.N_LEVELS
        return dtype if is_known else self.own_dtype

    def needs_ranks(self, is_masked):
        """Return whether windows may be empty, and the pixels are too many values to count."""
        return is_masked and not self.is_peer and not arrays.N_LEVELS[self.pixel]

    def n_alone(self, out):
        """Return of how many pixels one thread makes a part; fewer where the output is copied."""
        is_ready = arrays.is_kernel_ready(out, self.written_dtype(out.dtype))
        return N_ALONE if is_ready else min(N_ALONE, 2 * arrays.N_PART)


def _plan(dtype, shape, rule):
    """Return how the kernel takes planes of a dtype and a spatial shape."""
    pixel = arrays.pixel_dtype(dtype) or FLOAT64
    is_peer = rule.convention is not HISTEQ
    radii = tuple(min(radius, max(shape)) for radius in rule.radii)
    return Plan(pixel, pixel if is_peer else single_or_double(dtype), is_peer, radii)


# Where parts lie ----------------------------------------------------------------------------------


def _places(whole, radii, n_pixels):
    """Return places that cut a box of a plane into parts of at least so many pixels.

    Volumes are cut between slices, planes between rows. Each part reads what its windows reach,
    and so parts are not made much shorter than windows.
    """
    axis = _cut_axis(whole)
    start, length = whole[axis].start, whole[axis].stop - whole[axis].start
    n_others = max(1, _n_pixels(whole) // max(1, length))
    n = max(1, length // max(n_pixels // n_others, length // MOST_PARTS, radii[axis], 1))
    parts = [slice(start + length * i // n, start + length * (i + 1) // n) for i in range(n)]
    return [(*whole[:axis], part, *whole[axis + 1 :]) for part in parts]


def _cut_axis(place):
    """Return the axis along which a box is cut: that of the slices if there are several."""
    return 1 if len(place) > 2 and place[0].stop - place[0].start == 1 else 0


def _n_pixels(place):
    return math.prod(part.stop - part.start for part in place)


def _within(place, outer):
    """Return a place as slices of what lies at an outer place."""
    pairs = zip(place, outer, strict=True)
    return tuple(slice(own.start - all_.start, own.stop - all_.start) for own, all_ in pairs)


# In passes over parts -----------------------------------------------------------------------------


class Known(NamedTuple):
    """What parts of planes have to know of the whole planes.

    Attributes
    ----------
    values : ndarray of shape (n, c, n_values), float64
        The mid-ranks of all levels, or the counted pixels in order, or scikit-image's highest
        level.
    status : ndarray of shape (n, c)
    """

    values: np.ndarray
    status: np.ndarray


def _passes(plan, is_masked):
    """Return how planes are equalized in passes: what parts have to know, values."""
    reads: tuple[Read, ...] = ()
    if plan.is_peer and (is_masked or plan.pixel == UINT16):
        reads = (Read(_find_top, np.maximum, _keep_top, "maximum"),)
    elif is_masked:
        reads = (Read(partial(_count_levels, plan), add, _rank_levels),)
    return Passes(reads, partial(_write, plan), plan.radii)


def _find_top(_, part):
    """Return the highest level of a part, and whether it has a counted pixel, (n, c, 2)."""
    planes, mask = part.planes, part.mask
    axes = tuple(range(2, planes.ndim))
    found = np.ones((*planes.shape[:2], 2))
    found[..., 0] = planes.max(axis=axes, initial=0)
    if mask is not None:
        found[..., 1] = mask.any(axis=tuple(range(1, mask.ndim)))[:, np.newaxis]
    return found


def _keep_top(_, found):
    """Return what is known of planes by their highest level."""
    return Known(np.maximum(found[..., :1], 3), _empty_where(found[..., 1] == 0))


def _count_levels(plan, _, part):
    """Return the counts of the levels of a part, (n, c, n_levels)."""
    counts = np.zeros((*part.planes.shape[:2], arrays.N_LEVELS[plan.pixel]), np.int64)
    pixels = rows(arrays.as_pixels(part.planes, plan.pixel))
    shared.add_level_counts(pixels, arrays.mask_rows(part.mask), counts.reshape(len(pixels), -1))
    return counts


@np.errstate(invalid="ignore")  # planes without a counted pixel give no sense
def _rank_levels(_, counts):
    """Return what is known of planes by the counts of their levels."""
    n_counted = counts.sum(axis=2, keepdims=True)
    ranks = mid_ranks(counts.cumsum(axis=2) - counts, counts, n_counted, None)
    return Known(ranks, _empty_where(n_counted[..., 0] == 0))


def _empty_where(is_empty):
    return (EMPTY * is_empty).astype(np.uint8)


def _equalize_counted(planes, mask, out, plan, places, map_parts):
    """Equalize a large image in passes over its parts; return the status."""
    passes = _passes(plan, mask is not None)
    status = in_passes(passes, cut(planes, mask, out, places, passes.reach), map_parts)
    if mask is None and (status & EMPTY).any():  # of a part
        status &= ~_empty_where(~np.isnan(planes).all(axis=tuple(range(2, planes.ndim))))
    return status


def _equalize_ranked(planes, mask, out, plan, places, map_parts):
    """Equalize a large image whose counted pixels are ranked, since it has too many values."""
    status = np.empty(planes.shape[:2], np.uint8)
    for index, (plane, _, written) in arrays.single_planes(planes, mask, out, status | 1):
        ordered = _as_ordered(plane, plan.pixel)
        parts = cut(ordered, mask, written, places, plan.radii)
        known = _rank_pixels(ordered, mask)
        status[index] = reduce(np.bitwise_or, map_parts(partial(_write, plan, known), parts))
    return status


def _rank_pixels(plane, mask):
    """Return what is known of a plane by its counted pixels."""
    counted = plane[:, :, mask[0]]
    ordered = np.sort(counted[counted == counted].astype(FLOAT64))[np.newaxis, np.newaxis]
    return Known(ordered, _empty_where(np.array([[ordered.size == 0]])))


def _write(plan, found, part):
    """Write a part by blocks and pieces that take little memory; return the status of its planes.

    found : `Known`, or None if the part is whole, or has no window without a counted pixel.
    """
    planes, own = part.planes, _within(part.place, part.outer)
    status = np.zeros(planes.shape[:2], np.uint8)
    pieces = _places(own, plan.radii, plan.n_alone(part.out))
    are_copied = len(pieces) > 1 or arrays.is_copied(planes, plan.pixel, part.out)
    for block in arrays.image_slices(planes, are_copied):
        for piece in pieces:
            outer = around(piece, planes.shape[2:], plan.radii)
            counted = None if part.mask is None else part.mask[block, *outer]
            out = part.out[block, :, *_within(piece, own)]
            box = Part(planes[block, :, *outer], counted, out, piece, outer)
            known = None if found is None else found.values[block]
            of_box = _write_box(plan, known, box)
            if found is not None:
                of_box = of_box & ~np.uint8(EMPTY) | found.status[block]
            arrays.fill_unmapped(out, of_box)
            status[block] |= of_box
    return status


def _write_box(plan, known, part):
    """Write a part by the kernel, which sees the pixels around it; return the planes' status.

    The kernel writes whole rows of planes, and whole slices of volumes.
    """
    planes, out, own = part.planes, part.out, _within(part.place, part.outer)
    shape, axis, dtype = planes.shape[2:], _cut_axis(part.outer), plan.written_dtype(out.dtype)
    n_rows = math.prod(shape[axis + 1 : -1])
    extents = (*shape[:axis], own[axis].stop - own[axis].start, *shape[axis + 1 :])
    is_ready = arrays.is_kernel_ready(out, dtype) and out.shape[2:] == extents
    written = out if is_ready else np.empty((*planes.shape[:2], *extents), dtype)
    status = np.empty(planes.shape[:2], np.uint8)
    pixels = rows(_as_ordered(planes, plan.pixel))
    kernels.local(
        pixels,
        arrays.mask_rows(part.mask),
        rows(written),
        status.reshape(-1),
        np.array([_of_volume(shape, 1), _of_volume(plan.radii, 0)], np.int64),
        slice(own[axis].start * n_rows, own[axis].stop * n_rows),
        None if known is None else np.ascontiguousarray(known).reshape(len(pixels), -1),
        plan.is_peer,
        plan.own_dtype == FLOAT32,
    )
    if not is_ready:
        output_max = output.largest_level(plan.pixel) if plan.is_peer else 1
        inner = np.ascontiguousarray(written[..., :, *own[axis + 1 :]])
        arrays.write_back(inner, out, output_max)
    return status


def _of_volume(of_axes, of_plane):
    """Return one number per axis of a volume; a plane is one slice of it."""
    return (*((of_plane,) * (3 - len(of_axes))), *of_axes)


def _as_ordered(planes, pixel):
    """Return planes as the kernel reads them, integers that are no doubles as their ranks."""
    if planes.dtype.kind in "iu" and planes.dtype.itemsize == 8:
        planes = arrays.rank_planes(planes, None)[0].reshape(planes.shape)
    return arrays.as_pixels(planes, pixel)
