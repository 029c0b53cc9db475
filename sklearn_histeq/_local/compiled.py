"""The compiled engine's local equalization: brings planes to types that its kernel knows.

Integers of more than two bytes are read as their ranks, which have the same order. A large plane is
worked on in parts, each with the pixels around it that its windows reach. What a part does not see,
the counts for windows without a counted pixel, is read before. The kernel, `local` in local.h, has
the formulas of two conventions; the definition computes others.
"""

import math
from functools import partial, reduce
from operator import add
from typing import NamedTuple

import numpy as np

from .._arithmetic.status import EMPTY
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT32, FLOAT64, UINT16, rows
from .._passes import Part, Passes, Read, around, cut, in_passes, relative_to
from . import definition, kernels
from .conventions import HISTEQ, SKIMAGE
from .windows import mid_ranks

# A plane is worked on in parts of so many pixels if threads share it, else in larger ones; and in
# at most so many parts, each of which reads the pixels around it, too.
N_PART, N_ALONE, MOST_PARTS = 2**18, 2**22, 16


def local(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the window around it into out; see `definition.local`."""
    if rule.convention not in (HISTEQ, SKIMAGE):
        return definition.local(planes, mask, out, rule, map_parts)
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
    if rule.convention not in (HISTEQ, SKIMAGE):
        return f"no kernel has the formula of convention={rule.convention.name!r}"
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
    own_dtype, output_max : dtype, float
        The convention's own output type for these images, and its largest value there.
    is_skimage : bool
        Whether the convention is SKIMAGE; else it is HISTEQ.
    radii : tuple of ints
        How far windows reach along each spatial axis.
    """

    pixel: np.dtype
    own_dtype: np.dtype
    output_max: float
    is_skimage: bool
    radii: tuple[int, ...]

    def written_dtype(self, dtype):
        """Return the type that the kernel writes for an output of some type."""
        is_known = dtype == self.pixel if self.is_skimage else dtype in arrays.N_LEVELS
        return dtype if is_known else self.own_dtype

    def needs_ranks(self, is_masked):
        """Return whether windows may be empty, and the pixels are too many values to count."""
        return is_masked and not self.is_skimage and not arrays.N_LEVELS[self.pixel]

    def n_alone(self, out):
        """Return how many pixels a part has for one thread; fewer where the output is copied."""
        is_ready = arrays.is_kernel_ready(out, self.written_dtype(out.dtype))
        return N_ALONE if is_ready else min(N_ALONE, 2 * arrays.N_PART)


def _plan(dtype, shape, rule):
    """Return how the kernel takes planes of a dtype and a spatial shape."""
    pixel = arrays.pixel_dtype(dtype) or FLOAT64
    convention = rule.convention
    own_dtype, top = convention.default_output_dtype(dtype), convention.top(dtype)
    radii = tuple([min(radius, max(shape)) for radius in rule.radii])
    return Plan(pixel, own_dtype, top, convention is SKIMAGE, radii)


# Where parts lie ----------------------------------------------------------------------------------


def _places(whole, radii, n_pixels):
    """Return places that cut a place into at most MOST_PARTS parts of at least so many pixels.

    Volumes are cut between slices, planes between rows. Each part reads what its windows reach,
    and so parts are not made much shorter than windows.
    """
    axis = _cut_axis(whole)
    start, length = whole[axis].start, whole[axis].stop - whole[axis].start
    n_others = max(1, _n_pixels(whole) // max(1, length))
    n = max(1, length // max(n_pixels // n_others, -(-length // MOST_PARTS), radii[axis], 1))
    parts = [slice(start + length * i // n, start + length * (i + 1) // n) for i in range(n)]
    return [(*whole[:axis], part, *whole[axis + 1 :]) for part in parts]


def _cut_axis(place):
    """Return the axis along which a place is cut: that of the slices if there are several."""
    return 1 if len(place) > 2 and place[0].stop - place[0].start == 1 else 0


def _n_pixels(place):
    return math.prod([part.stop - part.start for part in place])


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
    if plan.is_skimage and (is_masked or plan.pixel == UINT16):
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


@np.errstate(invalid="ignore")  # 0 / 0 of planes without a counted pixel is not used
def _rank_levels(_, counts):
    """Return what is known of planes by the counts of their levels."""
    n_counted = counts.sum(axis=2, keepdims=True)
    ranks = mid_ranks(counts.cumsum(axis=2) - counts, counts, n_counted)
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
    all_planes = np.ones(status.shape, bool)
    for index, (plane, _, written) in arrays.single_planes(planes, mask, out, all_planes):
        ordered = _as_ordered(plane, plan.pixel)
        parts = cut(ordered, mask, written, places, plan.radii)
        counted = ordered[:, :, mask[0]]
        counted = np.sort(counted[counted == counted].astype(FLOAT64))[np.newaxis, np.newaxis]
        known = Known(counted, _empty_where(np.array([[counted.size == 0]])))
        status[index] = reduce(np.bitwise_or, map_parts(partial(_write, plan, known), parts))
    return status


def _write(plan, found, part):
    """Write a part by blocks and pieces that take little memory; return the status of its planes.

    A block is some of the images, and a piece is what lies at a place within the part. The kernel
    gets a piece and the pixels around it that its windows reach.

    found : `Known`, or None if the part is whole, or has no window without a counted pixel.
    """
    planes, own = part.planes, relative_to(part.outer, part.place)
    status = np.zeros(planes.shape[:2], np.uint8)
    places = _places(own, plan.radii, plan.n_alone(part.out))
    are_copied = len(places) > 1 or arrays.is_copied(planes, plan.pixel, part.out)
    for block in arrays.image_slices(planes, are_copied):
        known = None if found is None else found.values[block]
        for place in places:
            outer = around(place, planes.shape[2:], plan.radii)
            counted = None if part.mask is None else part.mask[block, *outer]
            out = part.out[block, :, *relative_to(own, place)]
            piece = Part(planes[block, :, *outer], counted, out, place, outer)
            of_piece = _write_piece(plan, known, piece)
            if found is not None:
                of_piece = of_piece & ~np.uint8(EMPTY) | found.status[block]
            arrays.fill_unmapped(out, of_piece)
            status[block] |= of_piece
    return status


def _write_piece(plan, known, piece):
    """Write a piece by the kernel, which sees the pixels around it; return the planes' status.

    The kernel writes whole rows of planes, and whole slices of volumes.
    """
    planes, out, own = piece.planes, piece.out, relative_to(piece.outer, piece.place)
    shape, axis, dtype = planes.shape[2:], _cut_axis(piece.outer), plan.written_dtype(out.dtype)
    n_rows = math.prod(shape[axis + 1 : -1])
    extents = (*shape[:axis], own[axis].stop - own[axis].start, *shape[axis + 1 :])
    is_ready = arrays.is_kernel_ready(out, dtype) and out.shape[2:] == extents
    written = out if is_ready else np.empty((*planes.shape[:2], *extents), dtype)
    status = np.empty(planes.shape[:2], np.uint8)
    pixels = rows(_as_ordered(planes, plan.pixel))
    kernels.local(
        pixels,
        arrays.mask_rows(piece.mask),
        rows(written),
        status.reshape(-1),
        np.array([_of_volume(shape, 1), _of_volume(plan.radii, 0)], np.int64),
        slice(own[axis].start * n_rows, own[axis].stop * n_rows),
        None if known is None else np.ascontiguousarray(known).reshape(len(pixels), -1),
        plan.is_skimage,
        plan.own_dtype == FLOAT32,
    )
    if not is_ready:
        inner = np.ascontiguousarray(written[..., :, *own[axis + 1 :]])
        arrays.write_back(inner, out, plan.output_max)
    return status


def _of_volume(of_axes, of_plane):
    """Return one number per axis of a volume; a plane is one slice of it."""
    return (*((of_plane,) * (3 - len(of_axes))), *of_axes)


def _as_ordered(planes, pixel):
    """Return planes as the kernel reads them, integers that are no doubles as their ranks."""
    if planes.dtype.kind in "iu" and planes.dtype.itemsize == 8:
        planes = arrays.rank_planes(planes, None)[0].reshape(planes.shape)
    return arrays.as_pixels(planes, pixel)
