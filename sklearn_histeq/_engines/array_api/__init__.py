"""The engine for arrays on any device: the functions of the reference engine, with the same bits.

It is written in operations of the array API standard, each of which is exact in IEEE arithmetic, on
all planes of a block at once. Counts, edges of bins and formulas are small and go through NumPy.
"""

from ..._arithmetic.color import recolor
from .adapt import adapt
from .equalize import equalize
from .learn import apply, count_bins, count_lattice, count_levels, invert
from .local import equalize_locally
from .match import match, quantiles

# Counting takes the same memory for any number of planes.
COUNTS_IN_BLOCKS = True

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
