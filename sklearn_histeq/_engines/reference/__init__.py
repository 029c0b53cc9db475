"""The reference engine: the readable definition, with scikit-image and NumPy, plane by plane."""

from ..._arithmetic.color import recolor
from .adapt import adapt
from .equalize import apply, count_bins, count_lattice, count_levels, equalize, invert
from .local import equalize_locally
from .match import match, quantiles

__all__ = [
    "adapt",
    "apply",
    "count_bins",
    "count_lattice",
    "count_levels",
    "equalize",
    "equalize_locally",
    "invert",
    "match",
    "quantiles",
    "recolor",
]
