"""Conventions: whose arithmetic turns counts into output values. One record for each of them.

A record says what the convention accepts and what it returns; everything else in the package asks
the record and does not compare names. To add a convention, add its record to `EQUALIZE`, `ADAPT` or
`LOCAL`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from . import tiles, transfer, windows
from .transfer import Formula

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


def single_or_double(dtype):
    """Return float32 for floats of at most 32 bits, else float64."""
    is_single = dtype.kind == "f" and dtype.itemsize < 8
    return np.dtype(np.float32 if is_single else np.float64)


def double(dtype):
    """Return float64."""
    return np.dtype(np.float64)


def uint8(dtype):
    """Return uint8."""
    return UINT8


def same(dtype):
    """Return the dtype itself, in native byte order."""
    return dtype.newbyteorder("=")


@dataclass(frozen=True, eq=False)
class Convention:
    """What all conventions have.

    Attributes
    ----------
    name : str
        What the parameter `convention` calls it.
    default_output_dtype : callable
        Maps the dtype of the images to the dtype of the output with `dtype=None`.
    output_max : float or None
        What the brightest output of that dtype is; None: the largest level of the dtype.
    accepts : tuple of dtypes, or None
        The dtypes that images may have; None: every real dtype.
    takes_nan, takes_mask, takes_negative : bool
        Whether NaN marks missing pixels, whether a mask may say which pixels count, and whether
        intensities may be negative.
    takes_n_bins : bool
        Whether the number of bins can be chosen.
    runs_on_devices : bool
        Whether the engine for arrays on other devices than the CPU has it.
    """

    name: str
    default_output_dtype: Callable[[np.dtype], np.dtype] = single_or_double
    output_max: float | None = 1.0
    accepts: tuple[np.dtype, ...] | None = None
    takes_nan: bool = True
    takes_mask: bool = True
    takes_negative: bool = True
    takes_n_bins: bool = True
    runs_on_devices: bool = True

    def __reduce__(self):
        """Pickle the name alone: the same record, which `is` compares, exists in every process."""
        return _record, (type(self), self.name)


def _record(kind, name):
    """Return the convention of a kind and a name."""
    return RECORDS[kind][name]


@dataclass(frozen=True, eq=False)
class EqualizeConvention(Convention):
    """A convention of HistogramEqualizer.

    Attributes
    ----------
    formulas : mapping of str to Formula
        The formula for each `output_distribution` that the convention has.
    n_integer_bins : int or None
        How many bins integers are counted in with `n_bins="auto"`; None: one per level.
    has_all_levels : bool
        Whether counts are those of all 256 levels of uint8, and not of the levels present.
    is_invertible : bool
        Whether `inverse_transform` can undo it.
    """

    formulas: Mapping[str, Formula] = field(default_factory=dict)
    n_integer_bins: int | None = None
    has_all_levels: bool = False
    is_invertible: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptiveConvention(Convention):
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
    tiling : `tiles.Tiling`
        How it cuts an image into tiles.
    """

    default_clip_limit: float
    clip_limit_is_share: bool = False
    least_clip_limit: float = 0.0
    takes_tile_shape: bool = True
    tiling: tiles.Tiling

    def engine_clip_limit(self, clip_limit, n_bins):
        """Return the parameter `clip_limit` as the engines take it."""
        if clip_limit is None:
            return None
        if isinstance(clip_limit, str):
            return self.default_clip_limit
        return float(clip_limit) / n_bins if self.clip_limit_is_share else float(clip_limit)


@dataclass(frozen=True, eq=False)
class LocalConvention(Convention):
    """A convention of LocalHistogramEqualizer.

    Attributes
    ----------
    formula : callable
        Maps the counts in windows to values; see `windows.mid_ranks`.
    top : callable
        Maps a plane to the argument `top` of the formula.
    fills_windows : bool
        Whether a window without a counted pixel takes the counts of the whole plane.
    """

    formula: Callable[..., np.ndarray] = windows.mid_ranks
    top: Callable[[np.ndarray], int] = windows.no_top
    fills_windows: bool = True


SKIMAGE = EqualizeConvention(
    "skimage",
    formulas={
        "uniform": Formula(transfer.skimage_uniform, kernel=0),
        "normal": Formula(transfer.skimage_normal, counted_only=True),
    },
)
NUMPY = EqualizeConvention(
    "numpy",
    default_output_dtype=double,
    output_max=255.0,
    formulas={"uniform": Formula(transfer.numpy_recipe, kernel=1, at_left_edges=True)},
    n_integer_bins=256,
)
OPENCV = EqualizeConvention(
    "opencv",
    default_output_dtype=uint8,
    output_max=255.0,
    accepts=(UINT8,),
    takes_nan=False,
    takes_n_bins=False,
    formulas={"uniform": Formula(transfer.opencv_table, kernel=2)},
    has_all_levels=True,
    is_invertible=False,
)
PILLOW = replace(
    OPENCV, name="pillow", formulas={"uniform": Formula(transfer.pillow_table, kernel=3)}
)

HISTEQ_TILES = AdaptiveConvention(
    "histeq", default_clip_limit=3.0, least_clip_limit=1.0, tiling=tiles.EVEN
)
SKIMAGE_TILES = AdaptiveConvention(
    "skimage",
    takes_nan=False,
    takes_mask=False,
    takes_negative=False,
    default_clip_limit=0.01,
    clip_limit_is_share=True,
    runs_on_devices=False,
    tiling=tiles.SKIMAGE,
)
OPENCV_TILES = AdaptiveConvention(
    "opencv",
    default_output_dtype=same,
    output_max=None,
    accepts=(UINT8, UINT16),
    takes_nan=False,
    takes_mask=False,
    takes_n_bins=False,
    takes_tile_shape=False,
    default_clip_limit=40.0,
    tiling=tiles.OPENCV,
)

HISTEQ_WINDOWS = LocalConvention("histeq")
SKIMAGE_WINDOWS = LocalConvention(
    "skimage",
    default_output_dtype=same,
    output_max=None,
    accepts=(UINT8, UINT16),
    formula=windows.skimage_levels,
    top=windows.skimage_top,
    fills_windows=False,
)

EQUALIZE = {record.name: record for record in (SKIMAGE, NUMPY, OPENCV, PILLOW)}
ADAPT = {record.name: record for record in (HISTEQ_TILES, SKIMAGE_TILES, OPENCV_TILES)}
LOCAL = {record.name: record for record in (HISTEQ_WINDOWS, SKIMAGE_WINDOWS)}
RECORDS = {EqualizeConvention: EQUALIZE, AdaptiveConvention: ADAPT, LocalConvention: LOCAL}


class EqualizeRule(NamedTuple):
    """How counts become a transfer function: parameters of HistogramEqualizer.

    Attributes
    ----------
    n_bins : int or "auto"
    convention : EqualizeConvention
    output_distribution : str
        One that the convention has a formula for.
    """

    n_bins: int | str
    convention: EqualizeConvention
    output_distribution: str

    @property
    def formula(self):
        """The formula that turns counts into values."""
        return self.convention.formulas[self.output_distribution]

    def bins_of(self, dtype):
        """Return the number of bins for pixels of a dtype, or None for one bin per level."""
        if self.n_bins != "auto":
            return self.n_bins
        return 256 if dtype.kind == "f" else self.convention.n_integer_bins

    def transfer_function(self, histogram, dtype=np.float64):
        """Return the transfer function of one histogram; see `Formula`."""
        if self.convention.has_all_levels:
            histogram = transfer.over_all_levels(histogram)
        return self.formula.transfer_function(histogram, dtype)


class AdaptRule(NamedTuple):
    """How tiles become transfer functions: parameters of AdaptiveHistogramEqualizer.

    Attributes
    ----------
    tiles : tuple of two ints
        (rows, columns) of tiles; with scikit-image's convention the shape of a tile.
    clip_limit : float or None
        Multiple of the uniform histogram's bin height, or share of the pixels of a tile, as the
        convention says; None clips nothing.
    n_bins : int
    convention : AdaptiveConvention
    """

    tiles: tuple[int, int]
    clip_limit: float | None
    n_bins: int
    convention: AdaptiveConvention

    @property
    def of_whole_planes(self):
        """The rule of HistogramEqualizer that says the same, or None where tiles are needed.

        One tile without a limit is global equalization by definition.
        """
        is_global = self.convention is HISTEQ_TILES and self.tiles == (1, 1)
        if is_global and self.clip_limit is None:
            return EqualizeRule(self.n_bins, SKIMAGE, "uniform")
        return None


class LocalRule(NamedTuple):
    """How windows become values: parameters of LocalHistogramEqualizer.

    Attributes
    ----------
    radius : int
        How many pixels a window reaches to each side of its middle.
    convention : LocalConvention
    """

    radius: int
    convention: LocalConvention
