"""How planes are equalized by their tiles in passes over parts, and what passes find."""

import math
from typing import Any, NamedTuple

import numpy as np

from .._arithmetic import spans
from .._kernels import arrays
from . import levels
from .conventions import OPENCV


class Plan(NamedTuple):
    """How planes are equalized in passes.

    Attributes
    ----------
    rule : `conventions.ClaheRule`
    whole : `_passes.Whole`
    given : ndarray of shape (n, c, 2), or None
        What the bins of each plane span, where this is known before; NaN: its own range.
    counts_around : bool
        Whether each part counts the tiles around it by itself, so that no tables of all are kept.
    joins_uncertain : bool
        Whether planes whose bins are not certain are put together to be mapped by the definition.
        If not, their status says REFER.
    """

    rule: Any
    whole: Any
    given: Any
    counts_around: bool = False
    joins_uncertain: bool = True

    @property
    def pixel(self):
        """The type in which kernels read pixels."""
        return levels.pixel_dtype(self.whole.dtype, self.rule.convention)

    @property
    def n_codes(self):
        """The number of counts of a tile."""
        return arrays.N_LEVELS[self.pixel] if self.rule.convention is OPENCV else self.rule.n_bins

    @property
    def sides(self):
        """The three axes, cut into tiles."""
        return self.rule.convention.tiling.sides(self.whole.shape, self.rule.tiles)

    def given_of(self, shape):
        """Return what the bins of planes (n, c) span by the rule, (n, c, 2), or None."""
        if self.given is not None or self.rule.span.limits is None:
            return self.given
        limits = spans.limits_of(self.rule.span, np.empty(0, self.whole.dtype))
        return np.broadcast_to(limits.astype(np.float64), (*shape, 2))

    @property
    def tile_pixels(self):
        """The number of pixels of the largest tile."""
        return math.prod(int(np.diff(side.starts).max()) for side in self.sides)


class Found(NamedTuple):
    """What is known of planes.

    Attributes
    ----------
    status : ndarray of shape (n, c)
    limits : ndarray of shape (n_planes, 2), or None
        Of "histeq": what the bins span; NaN: there are none.
    refer : ndarray of shape (n, c), or None
        Of "histeq": REFER where the kernels are not certain of the bins, else 0.
    bins : ndarray of shape (n_planes, n_levels), or None
        Of "skimage": the bin of each level of 16 bits.
    is_beyond : ndarray of shape (n, c), or None
        Of "skimage": which planes have levels beyond 16 bits.
    tables : ndarray of shape (n_rows, n_planes, n_codes, n_columns), or None
        Of the tiles of all rows of all layers.
    plane_counts : ndarray of shape (n_planes, n_bins), or None
        The counts of whole planes, for tiles without a counted pixel.
    values : ndarray of shape (n_planes, N_GRAYS), or None
        Of "skimage": the output for each blended gray.
    mapped : tuple of pairs
        The numbers of planes that were put together, and their output by the definition.
    """

    status: Any
    limits: Any = None
    refer: Any = None
    bins: Any = None
    is_beyond: Any = None
    tables: Any = None
    plane_counts: Any = None
    values: Any = None
    mapped: Any = ()
