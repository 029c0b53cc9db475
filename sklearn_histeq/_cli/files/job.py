"""What the command line asks for, the estimators that do it, and their errors in its words."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli.errors import UsageError

Example = tuple[NDArray[Any], NDArray[Any]]  # an image before and after

MAX_PIXELS = 178_956_970  # of one picture; the limit of Pillow
# What the arguments of estimators are called where files are given.
_NAMES = {"X": "the input", "mask": "the mask", "reference": "the reference"}
ESTIMATORS = {
    "equalize": HistogramEqualizer,
    "clahe": AdaptiveHistogramEqualizer,
    "local": LocalHistogramEqualizer,
    "match": HistogramMatcher,
}


@dataclass(frozen=True)
class FileJob:
    """One run of a command: what to read, how to change it, and where to write it."""

    command: str
    sources: tuple[Path, ...]
    target: Path
    params: dict[str, Any] = field(default_factory=dict)  # those given, by the estimator's names
    reference: Path | None = None
    train: Path | None = None
    overwrite: bool = False
    skip_existing: bool = False
    max_pixels: int = MAX_PIXELS
    quiet: bool = False
    plot: Path | None = None

    @property
    def of_arrays(self) -> bool:
        """Whether IN is .npy files, not pictures."""
        return is_array(self.sources[0])

    @property
    def is_folder(self) -> bool:
        """Whether IN is a folder."""
        return len(self.sources) == 1 and self.sources[0].is_dir()

    @property
    def is_batch(self) -> bool:
        """Whether OUT is a folder, with a summary at the end."""
        return self.is_folder or len(self.sources) > 1

    @property
    def learns(self) -> bool:
        """Whether images are learned from before the first is changed."""
        if self.command == "match":
            return self.reference is None
        return self.command == "equalize" and self.params.get("scope") == "dataset"

    def estimator(self, **params: Any) -> Any:
        """Return a new estimator with the given parameters, and those of the command line."""
        return ESTIMATORS[self.command](**(self.params | params))


def is_array(path: Path) -> bool:
    """Tell whether a path is that of an array, not of pictures."""
    return path.suffix.lower() == ".npy" and not path.is_dir()


def check_parameters(estimator: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Let an estimator check its parameters against images of a shape and type; reads no pixel.

    The estimator must not be used afterwards: it may have learned from this.
    """
    # numbers that have landmarks in every channel
    levels = np.random.default_rng(0).integers(0, 101, (1, *shape[1:]), np.uint8)
    try:
        estimator.fit((levels / 100 if dtype.kind in "bf" else levels).astype(dtype))
    except (ValueError, TypeError) as error:
        raise UsageError(in_options(error)) from error


def in_options(error: Exception, first_image: int | None = 0) -> str:
    """Return what an estimator says of its input, for somebody who knows files and options.

    The advice for Python is left out. first_image: the number of the first image that it was given;
    None where images have no numbers.
    """
    problem = getattr(error, "problem", None)
    if problem is None:  # scikit-learn's own
        return " ".join(str(error).split()).rstrip(".")

    def spell(piece: Any) -> str:
        if hasattr(piece, "numbers"):
            return "" if first_image is None else str(piece.counted_from(first_image))
        words = [] if not hasattr(piece, "name") else [_NAMES.get(piece.name, option(piece.name))]
        return " ".join([*words, *([spelled(piece.value)] if hasattr(piece, "value") else [])])

    return str(problem.text(spell))


def warn_of_single(job: FileJob) -> None:
    """Warn that learning from the only image changes little."""
    if job.command == "match":
        what = "match without --reference or --fit learns from this single image, and returns"
        warnings.warn(f"{what} nearly a copy of it", stacklevel=2)


def option(name: str) -> str:
    """Return the option of a parameter."""
    return "--" + name.replace("_", "-")


def spelled(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(spelled, value))
    return "none" if value is None else str(value)
