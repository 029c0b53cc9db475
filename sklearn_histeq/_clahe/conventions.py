"""Conventions of AdaptiveHistogramEqualizer, one record for each.

To add a convention, add its record to `CONVENTIONS`, and to `definition._CLAHE` the function that
computes it. The compiled engine and the engine for devices have code of their own for the records
below, and pass all others to the definition.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .._arithmetic import color_modes
from .._arithmetic.conventions import Convention
from .._arithmetic.dtypes import UINT8, UINT16, same
from .._arithmetic.spans import OWN, Span
from .._equalize.conventions import cdf_rule
from . import tiles


@dataclass(frozen=True, eq=False, kw_only=True)
class ClaheConvention(Convention):
    """A convention of AdaptiveHistogramEqualizer.

    Attributes
    ----------
    default_clip_limit : float
        The limit of `clip_limit="auto"`, as the engines take it.
    clip_limit_is_share : bool
        Whether the engines take the limit as a share of the pixels of a tile, and not as a multiple
        of the bin height of the uniform histogram.
    least_clip_limit : float
        The least limit that has a meaning; 0 itself has none.
    takes_tile_shape : bool
        Whether tiles can be chosen by their shape.
    takes_volumes : bool
        Whether planes may have three axes.
    tiling : `tiles.Tiling`
        How it cuts an image into tiles.
    """

    default_clip_limit: float
    clip_limit_is_share: bool = False
    least_clip_limit: float = 0.0
    takes_tile_shape: bool = True
    takes_volumes: bool = True
    tiling: tiles.Tiling

    def engine_clip_limit(self, clip_limit, n_bins):
        """Return the parameter `clip_limit` as the engines take it."""
        if clip_limit is None:
            return None
        if isinstance(clip_limit, str):
            return self.default_clip_limit
        return float(clip_limit) / n_bins if self.clip_limit_is_share else float(clip_limit)


HISTEQ = ClaheConvention("histeq", default_clip_limit=3.0, least_clip_limit=1.0, tiling=tiles.EVEN)
SKIMAGE = ClaheConvention(
    "skimage",
    takes_nan=False,
    takes_mask=False,
    takes_negative=False,
    default_clip_limit=0.01,
    clip_limit_is_share=True,
    runs_on_devices=False,
    tiling=tiles.SKIMAGE,
)
OPENCV = ClaheConvention(
    "opencv",
    default_output_dtype=same,
    output_max=None,
    accepts=(UINT8, UINT16),
    takes_nan=False,
    takes_mask=False,
    takes_n_bins=False,
    takes_tile_shape=False,
    colors=color_modes.OF_OPENCV,
    takes_volumes=False,
    default_clip_limit=40.0,
    tiling=tiles.OPENCV,
)

CONVENTIONS = {record.name: record for record in (HISTEQ, SKIMAGE, OPENCV)}
ClaheConvention.records = CONVENTIONS


class ClaheRule(NamedTuple):
    """How tiles become transfer functions: parameters of AdaptiveHistogramEqualizer.

    Attributes
    ----------
    tiles : tuple of two or three ints
        (rows, columns) of tiles, or (layers, rows, columns); with scikit-image's convention the
        shape of a tile.
    clip_limit : float or None
        Multiple of the uniform histogram's bin height, or share of the pixels of a tile, as the
        convention says; None clips nothing.
    n_bins : int
    convention : ClaheConvention
    span : `spans.Span`
        What the bins of a plane span.
    """

    tiles: tuple[int, ...]
    clip_limit: float | None
    n_bins: int
    convention: ClaheConvention
    span: Span = OWN

    @property
    def of_whole_planes(self):
        """The equivalent rule of HistogramEqualizer, or None if tiles are needed.

        One tile without a limit is global equalization by definition.
        """
        is_global = self.convention is HISTEQ and set(self.tiles) == {1}
        if is_global and self.clip_limit is None:
            return cdf_rule(self.n_bins, self.span)
        return None
