"""Select the engine that loops over the pixels.

An engine is a package with these functions of planes; `reference` documents them. `reference` and
`compiled` take arrays of NumPy, `array_api` takes those that lie on another device:

    equalize, adapt, equalize_locally, match             planes to planes
    count_levels, count_lattice, count_bins, quantiles   planes to what is learned
    apply, invert                                        learned transfer functions to planes
    recolor                                              the value of colours to colours

The environment variable SKLEARN_HISTEQ_ENGINE chooses the engine for arrays of NumPy. It is no
parameter of an estimator, since it must not change a result.
"""

import os
import warnings
from functools import lru_cache

CHOICES = ("auto", "portable", "reference")
SLOW = (
    "sklearn-histeq was installed without its compiled kernels and runs on scikit-image, with the "
    "same results, but 10 to 300 times slower. Install a C++ compiler, and install the "
    "package again from its source: pip install --force-reinstall --no-deps --no-cache-dir PATH, "
    "where PATH is the folder with its pyproject.toml. To accept the slower engine in silence, set "
    "the environment variable SKLEARN_HISTEQ_ENGINE=reference."
)


def select(is_remote=False):
    """Return the engine to use, as the environment says; on another device there is but one."""
    if is_remote:
        from . import array_api  # when first needed

        return array_api
    choice = os.environ.get("SKLEARN_HISTEQ_ENGINE", "auto")
    if choice not in CHOICES:
        raise ValueError(
            f"SKLEARN_HISTEQ_ENGINE={choice!r}, but expected one of {', '.join(CHOICES)}; "
            "set the environment variable to one of them, or unset it."
        )
    compiled = None if choice == "reference" else _compiled()
    if compiled is None:
        from . import reference  # when first needed: it takes time to import scikit-image

        return reference
    compiled.use_simd(choice == "auto")
    return compiled


def describe():
    """Return the engine that runs and its instruction set, for show_versions()."""
    engine = select()
    is_compiled = hasattr(engine, "instruction_set")
    return f"compiled ({engine.instruction_set()})" if is_compiled else "reference"


@lru_cache(maxsize=1)
def _compiled():
    """Return the compiled engine, or None, with a warning, where it was not built."""
    try:
        from . import compiled
    except ImportError:
        warnings.warn(SLOW, UserWarning, stacklevel=2)
        return None
    return compiled
