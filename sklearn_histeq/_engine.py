"""Select the engine that loops over the pixels: compiled, definition, or devices.

Each method has a module per engine, with the same functions of planes; `definition` documents them.
The environment variable SKLEARN_HISTEQ_ENGINE chooses the engine for arrays of NumPy. It is no
parameter of an estimator, since it must not change a result.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ._arithmetic.color_modes import MODES, ColorMode
from ._clahe import definition as clahe_definition
from ._clahe import devices as clahe_devices
from ._equalize import definition as equalize_definition
from ._equalize import devices as equalize_devices
from ._local import definition as local_definition
from ._local import devices as local_devices
from ._match import definition as match_definition
from ._match import devices as match_devices

CHOICES = ("auto", "portable", "reference")
SLOW = (
    "sklearn-histeq was installed without its compiled kernels and runs on scikit-image, with the "
    "same results, but 10 to 300 times slower. To accept the slower engine in silence, set the "
    "environment variable SKLEARN_HISTEQ_ENGINE=reference. {remedy}"
)
INSTALL = (
    "Install a C++ compiler, and install the package again from its source: pip install "
    "--force-reinstall --no-deps --no-cache-dir PATH, where PATH is the folder with its "
    "pyproject.toml."
)
IN_SOURCE = (
    "Python imports the source folder {folder}, which has no kernels, since Python was started "
    "there. Start Python in another folder, if the package is installed; otherwise run: "
    "pip install --editable {folder}"
)


class Engine(NamedTuple):
    """The functions of planes of all methods.

    Attributes
    ----------
    equalize, clahe, local, match : modules
        What is done with planes, and what is learned from them.
    color_modes : mapping of str to ColorMode
        All modes of colours by their names, with the functions of this engine.
    copies_counted : bool
        Whether counting needs memory for each pixel.
    """

    equalize: ModuleType
    clahe: ModuleType
    local: ModuleType
    match: ModuleType
    color_modes: Mapping[str, ColorMode] = MODES
    copies_counted: bool = False


DEFINITION = Engine(
    equalize_definition, clahe_definition, local_definition, match_definition, copies_counted=True
)
DEVICES = Engine(equalize_devices, clahe_devices, local_devices, match_devices)


def select(planes):
    """Return the engine for planes, by the environment; other devices have one engine only."""
    if not isinstance(planes, np.ndarray):
        return DEVICES
    choice = os.environ.get("SKLEARN_HISTEQ_ENGINE", "auto")
    if choice not in CHOICES:
        raise ValueError(
            f"SKLEARN_HISTEQ_ENGINE={choice!r}, but expected one of {', '.join(CHOICES)}; "
            "set the environment variable to one of them, or unset it."
        )
    found = None if choice == "reference" else compiled()
    if found is None:
        return DEFINITION
    found.use_simd(choice == "auto")
    return found.engine


def color_mode(mode, planes):
    """Return a mode of colours with the functions of the engine for planes."""
    return select(planes).color_modes[mode.name]


def describe():
    """Return the engine that runs and its instruction set, for show_versions()."""
    if select(np.empty(0)) is DEFINITION:
        return "reference"
    return f"compiled ({compiled().instruction_set()})"


class Compiled(NamedTuple):
    """The compiled engine, and what sets and names the instructions that its kernels use."""

    engine: Engine
    use_simd: Callable[[bool], None]
    instruction_set: Callable[[], str]


@lru_cache(maxsize=1)
def compiled():
    """Return the compiled engine, or None, with a warning, where it was not built."""
    try:
        from ._clahe import compiled as clahe
        from ._equalize import compiled as equalize
        from ._kernels import shared
        from ._kernels.color_modes import MODES as color_modes
        from ._local import compiled as local
        from ._match import compiled as match
    except ImportError:  # of one of the modules of kernels
        folder = Path(__file__).parents[1]
        is_source = (folder / "pyproject.toml").is_file()
        remedy = IN_SOURCE.format(folder=folder) if is_source else INSTALL
        warnings.warn(SLOW.format(remedy=remedy), UserWarning, stacklevel=2)
        return None
    engine = Engine(equalize, clahe, local, match, color_modes)
    return Compiled(engine, shared.use_simd, shared.instruction_set)
