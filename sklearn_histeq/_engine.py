"""The seam: which engine loops over the pixels.

An engine is no parameter of an estimator, since it must not change a result: the environment
variable SKLEARN_HISTEQ_ENGINE chooses it.
"""

import os

ENGINES = ("auto", "portable", "reference")


def equalize(planes, mask, out, n_bins, convention, output_distribution):
    """Equalize each plane by its own CDF into out; see `_reference.equalize`."""
    return _engine().equalize(planes, mask, out, n_bins, convention, output_distribution)


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


def _engine():
    """Return the engine to use. It is imported when first needed: scikit-image takes its time."""
    choice = os.environ.get("SKLEARN_HISTEQ_ENGINE", "auto")
    if choice not in ENGINES:
        raise ValueError(
            f"SKLEARN_HISTEQ_ENGINE={choice!r}, but expected one of {', '.join(ENGINES)}; "
            "set the environment variable to one of them, or unset it."
        )
    from . import _reference

    return _reference
