"""The compiled engine: the functions of the reference engine, by kernels, with the same bits."""

from .adapt import adapt
from .equalize import (
    apply,
    count_bins,
    count_lattice,
    count_levels,
    equalize,
    instruction_set,
    use_simd,
)
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
    "instruction_set",
    "match",
    "quantiles",
    "use_simd",
]
