"""Colour modes of the compiled engine: those of `_arithmetic.color_modes`, with kernels."""

from dataclasses import replace
from typing import Any

from .._arithmetic import color_modes
from . import color, lightness

_KERNELS: dict[str, dict[str, Any]] = {
    "value": {"recolor": color.scale_colors},
    "luminance": {"plane_of": color.find_luminance, "recolor": color.shift_colors},
    "luminance of opencv": {"plane_of": color.find_luminance, "recolor": color.follow_in_ycrcb},
    "lightness": {"plane_of": lightness.find_lightness, "recolor": lightness.follow_in_lab},
    "lightness of opencv": {
        "plane_of": color.find_opencv_lightness,
        "recolor": color.follow_in_opencv_lab,
    },
}
MODES = {name: replace(mode, **_KERNELS.get(name, {})) for name, mode in color_modes.MODES.items()}
