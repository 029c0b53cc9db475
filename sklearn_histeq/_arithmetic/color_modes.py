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
PIXELS_AT_ONCE = 2**18


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


def map_plane(function, of_engine, mode, stored, planes, mask, out, map_parts):
    """Apply function to one plane of colours, and let the colours follow; return the status (n, 1).

    function(plane, mask, mapped, map_parts) is called, and the functions of the engine's mode,
    of_engine(mode, planes); `stored` is the `output.Stored` of mapped planes. One large image is
    recoloured in parts, from a plane that waits in the output's first channel if that has its type.
    """
    mode = of_engine(mode, planes)
    plane, status = _plane_of(mode, planes)
    if planes.shape[0] == 1 and isinstance(out, np.ndarray) and out.dtype == stored.dtype:
        mapped = out[:, :1]
    else:
        mapped = namespaces.empty(plane.shape, stored.dtype, plane)
    status |= function(plane, mask, mapped, map_parts)
    for rows in _parts(planes):
        of_rows = mapped[rows]
        if isinstance(out, np.ndarray) and np.may_share_memory(of_rows, out):
            of_rows = of_rows.copy()
        mode.recolor(planes[rows], plane[rows], of_rows, out[rows], stored)
    return status


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
