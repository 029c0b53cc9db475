"""Versions and the engine that runs, for bug reports."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from . import _engine

PACKAGES = ("sklearn-histeq", "numpy", "scikit-learn", "scikit-image", "scipy", "joblib")


def show_versions() -> None:
    """Print the installed versions, and the engine that runs with its instruction set.

    The environment variable SKLEARN_HISTEQ_ENGINE chooses the engine, which never changes a
    result: "auto" (compiled, with the best instructions of this processor), "portable" (compiled,
    without special instructions) or "reference" (scikit-image and NumPy).

    Examples
    --------
    >>> import sklearn_histeq
    >>> sklearn_histeq.show_versions()  # doctest: +SKIP
    """
    rows = [("Python", sys.version.split()[0]), ("machine", platform.platform())]
    rows += [(name, _version(name)) for name in PACKAGES]
    rows += [("engine", _engine.describe())]
    for name, value in rows:
        print(f"{name:>14}: {value}")


def _version(name):
    """Return the version of a package that runs, or is installed."""
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout, or a frozen program, which has no metadata
        module = {"scikit-learn": "sklearn", "scikit-image": "skimage"}.get(name, name)
        # the package has imported all of them
        return sys.modules[module.replace("-", "_")].__version__
