"""The compiled engine: the functions of the reference engine, by kernels, with the same bits."""

from ._kernels import instruction_set, use_simd
from .adapt import adapt
from .color import recolor
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
    "instruction_set",
    "invert",
    "match",
    "quantiles",
    "recolor",
    "use_simd",
]
