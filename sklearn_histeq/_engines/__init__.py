"""The seam: which engine loops over the pixels.

An engine is no parameter of an estimator, since it must not change a result: the environment
variable SKLEARN_HISTEQ_ENGINE chooses it.
"""

import os
import warnings
from functools import lru_cache

ENGINES = ("auto", "portable", "reference")
SLOW = (
    "sklearn-histeq was installed without its compiled kernels and runs on scikit-image, with the "
    "same results, but 10 to 40 times slower. Install a C compiler, then reinstall: pip install "
    "--force-reinstall --no-deps --no-cache-dir sklearn-histeq. To accept this in silence, set the "
    "environment variable SKLEARN_HISTEQ_ENGINE=reference."
)


def equalize(planes, mask, out, rule, map_parts):
    """Equalize each plane by its own CDF into out; see `_reference.equalize`.

    rule is (n_bins, convention, output_distribution).
    """
    return _engine().equalize(planes, mask, out, *rule, map_parts)


def apply(planes, mask, out, curves, convention):
    """Map each plane by the learned curve of its channel into out; see `_reference.apply`."""
    return _engine().apply(planes, mask, out, curves, convention)


def count_levels(planes, mask):
    """Return the exact counts of each channel, and the status of the planes.

    See `_reference.count_levels`.
    """
    return _engine().count_levels(planes, mask)


def count_lattice(planes, mask):
    """Return the fine counts of each channel's floats, and the status of the planes.

    See `_reference.count_lattice`.
    """
    return _engine().count_lattice(planes, mask)


def count_bins(planes, mask, edges):
    """Return each channel's counts over its edges, and the status of the planes.

    See `_reference.count_bins`.
    """
    return _engine().count_bins(planes, mask, edges)


def adapt(planes, mask, out, rule, map_parts):
    """Equalize each plane by the CDFs of its tiles into out; see `_reference_adapt.adapt`.

    rule is (tiles, clip_limit, n_bins, convention).
    """
    return _engine().adapt(planes, mask, out, *rule, map_parts)


def match(planes, mask, out, targets, map_parts):
    """Map each plane to the distribution of its channel's target; see `_reference_match.match`."""
    return _engine().match(planes, mask, out, targets, map_parts)


def quantiles(planes, mask, n_quantiles):
    """Return order statistics of each plane, and the status of the planes.

    See `_reference_match.quantiles`.
    """
    return _engine().quantiles(planes, mask, n_quantiles)


def describe():
    """Return the engine that runs and its instruction set, as show_versions() tells them."""
    engine = _engine()
    compiled = hasattr(engine, "instruction_set")
    return f"compiled ({engine.instruction_set()})" if compiled else "reference"


def _engine():
    """Return the engine to use."""
    choice = os.environ.get("SKLEARN_HISTEQ_ENGINE", "auto")
    if choice not in ENGINES:
        raise ValueError(
            f"SKLEARN_HISTEQ_ENGINE={choice!r}, but expected one of {', '.join(ENGINES)}; "
            "set the environment variable to one of them, or unset it."
        )
    compiled = None if choice == "reference" else _compiled_engine()
    if compiled is None:
        # imported when first needed: scikit-image takes its time
        from . import reference

        return reference
    compiled.use_simd(choice == "auto")
    return compiled


@lru_cache(maxsize=1)
def _compiled_engine():
    """Return the compiled engine, or None, with a warning, where it was not built."""
    try:
        from . import compiled
    except ImportError:
        warnings.warn(SLOW, UserWarning, stacklevel=2)
        return None
    return compiled
