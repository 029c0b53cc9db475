"""Colour modes: which plane of colours is equalized, and how the colours follow, by records.

To add a mode, add two functions, as `color` describes them, and its record to `MODES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import color, lightness, namespaces
from .dtypes import UINT8, same, single_or_double

# Of one large image, so many pixels are recoloured at a time: that takes several doubles for each.
PIXELS_AT_ONCE = 2**16


@dataclass(frozen=True, eq=False)
class ColorMode:
    """A mode of colours.

    Attributes
    ----------
    name : str
        What the parameter `color` calls it, perhaps with the library whose arithmetic it has.
    plane_of : callable
        plane_of(planes) returns one plane (n, 1, h, w) of (n, 3 or 4, h, w) images, and the status
        (n, 1).
    recolor : callable
        recolor(planes, plane, mapped, out, stored) writes the colours for a plane that was mapped.
    plane_dtype : callable
        Maps the dtype of the images to that of the plane.
    is_bounded : bool
        Whether colours end at full intensity, so that floats have to lie in [0, 1].
    is_relative : bool
        Whether the plane is a share of full intensity, in [0, 1] for images of every dtype.
    accepts : tuple of dtypes, or None
        The dtypes that images may have; None: every real dtype.
    runs_on_devices : bool
        Whether the engine for arrays on other devices than the CPU has it.
    ns_per_pixel : float
        How long both functions take for a pixel, roughly.
    """

    name: str
    plane_of: Callable[..., Any]
    recolor: Callable[..., None]
    plane_dtype: Callable[[np.dtype], np.dtype] = same
    is_bounded: bool = True
    is_relative: bool = False
    accepts: tuple[np.dtype, ...] | None = None
    runs_on_devices: bool = True
    ns_per_pixel: float = 2

    @property
    def is_absolute(self):
        """Whether colours are shifted by a difference of intensities, which needs one scale."""
        return self.is_bounded and not self.is_relative

    def __reduce__(self):
        """Pickle the name alone, so that a record is the same object after unpickling."""
        return _mode, (self.name,)


def _mode(name):
    """Return the mode of a name."""
    return MODES[name]


def _of_luminance(dtype):
    """Return the dtype of luminance: that of integers, single or double precision of floats."""
    return single_or_double(dtype) if dtype.kind == "f" else same(dtype)


VALUE = ColorMode("value", color.value, color.scale_colors, is_bounded=False)
LUMINANCE = ColorMode("luminance", color.luminance, color.shift_colors, _of_luminance)
YCRCB = ColorMode("luminance of opencv", color.luminance, color.follow_in_ycrcb)
LIGHTNESS = ColorMode(
    "lightness",
    lightness.lightness,
    lightness.follow_in_lab,
    single_or_double,
    is_relative=True,
    runs_on_devices=False,
    ns_per_pixel=12,
)
LAB = ColorMode(
    "lightness of opencv",
    lightness.opencv_lightness,
    lightness.follow_in_opencv_lab,
    accepts=(UINT8,),
    runs_on_devices=False,
    ns_per_pixel=5,
)

MODES = {mode.name: mode for mode in (VALUE, LUMINANCE, LIGHTNESS, YCRCB, LAB)}
# What the parameter `color` means: everywhere, and with OpenCV's arithmetic.
OWN = {mode.name: mode for mode in (VALUE, LUMINANCE, LIGHTNESS)}
OF_OPENCV = {**OWN, "luminance": YCRCB, "lightness": LAB}


class Canvas:
    """The output for the plane of one image: what is written to it becomes colours at once.

    It has what engines ask of an output that no kernel can write: they write contiguous arrays of
    whole rows to it, from several threads.
    """

    ndim, flags = 0, np.broadcast_to(0, 2).flags  # no array, and not contiguous

    def __init__(self, paint, rows, dtype):
        self._paint, self._rows, self.dtype = paint, rows, dtype  # rows: their numbers
        self.shape = rows.shape

    def __getitem__(self, index):
        return Canvas(self._paint, self._rows[index], self.dtype)

    def reshape(self, shape, **_):
        """Return the output for a volume of slices that lie below each other."""
        return Canvas(self._paint, self._rows.reshape(shape), self.dtype)

    def __setitem__(self, index, values):
        if np.ndim(values):  # no number, which fills planes that the status refuses
            rows = self._rows[index]
            self._paint(rows.flat[0], values.reshape(1, 1, -1, rows.shape[-1]))


def map_plane(function, of_engine, mode, stored, planes, mask, out, map_parts):
    """Apply function to one plane of colours, and let the colours follow; return the status (n, 1).

    function(plane, mask, mapped, map_parts) is called, and the functions of the engine's mode,
    of_engine(mode, planes); `stored` is the `output.Stored` of mapped planes. One large image is
    recoloured in parts, from a plane that waits in the output's first channel if that has its type.
    If not, planes of one or two bytes are recoloured wherever the function writes.
    """
    mode = of_engine(mode, planes)
    plane, status = _plane_of(mode, planes)

    def paint(first, mapped):
        of_mapped = np.s_[..., first : first + mapped.shape[2], :]
        images, reduced, written = planes[of_mapped], plane[of_mapped], out[of_mapped]
        for rows in _parts(mapped):
            of_rows = mapped[rows].copy() if is_in_out else mapped[rows]
            mode.recolor(images[rows], reduced[rows], of_rows, written[rows], stored)

    is_large = isinstance(out, np.ndarray) and len(_parts(planes)) > 1
    is_in_out = is_large and out.dtype == stored.dtype
    if is_large and not is_in_out and plane.dtype.kind != "f" and plane.dtype.itemsize <= 2:
        rows = np.broadcast_to(np.arange(plane.shape[2])[:, np.newaxis], plane.shape)
        return status | function(plane, mask, Canvas(paint, rows, stored.dtype), map_parts)
    mapped = out[:, :1] if is_in_out else namespaces.empty(plane.shape, stored.dtype, plane)
    status |= function(plane, mask, mapped, map_parts)
    paint(0, mapped)
    return status


def follow(mode, planes, plane, mapped, out, stored):
    """Write the colours of planes for their plane that was mapped; one large image in parts."""
    for rows in _parts(mapped):
        mode.recolor(planes[rows], plane[rows], mapped[rows], out[rows], stored)


def _plane_of(mode, planes):
    """Return mode.plane_of(planes); of one large image in parts, which takes less memory."""
    parts = _parts(planes)
    if len(parts) == 1:
        return mode.plane_of(planes)
    shape, dtype = tuple(planes.shape), mode.plane_dtype(namespaces.dtype_of(planes))
    plane, status = namespaces.empty((1, 1, *shape[2:]), dtype, planes), 0
    for rows in parts:
        plane[rows], found = mode.plane_of(planes[rows])
        status |= found
    return plane, status


def _parts(planes):
    """Return indices of rows, all of several images, some of one large image."""
    height, width = planes.shape[2:]
    step = height if planes.shape[0] > 1 else max(1, PIXELS_AT_ONCE // width)
    return [np.s_[..., start : start + step, :] for start in range(0, height, step)]


def count_plane(function, of_engine, mode, planes, mask):
    """Return function(plane, mask), a result and the status, of one plane of colours."""
    plane, status = _plane_of(of_engine(mode, planes), planes)
    result, found = function(plane, mask)
    return result, status | found
