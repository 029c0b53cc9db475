"""What the command line asks for, the estimators that do it, and their errors in its words."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli.errors import UsageError

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
    quiet: bool = False
    plot: Path | None = None

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
    one = np.broadcast_to(np.zeros((), dtype), (1, *shape[1:]))
    try:
        estimator.fit(one)
    except (ValueError, TypeError) as error:
        raise UsageError(in_options(error)) from error


def in_options(error: Exception | str) -> str:
    """Return an estimator's message for somebody who knows files and options, not Python.

    The first sentence says what came and what was expected; the advice after it is for programs.
    """
    text = re.split(r"(?<=\w[\w)'])[.:] (?=[A-Z])|\.$", " ".join(str(error).split()))[0]
    names = {name for kind in ESTIMATORS.values() for name in kind().get_params()}
    pattern = rf"\b({'|'.join(sorted(names))})=('[^']*'|\([^)]*\)|[^\s,;:]+)"
    text = re.sub(pattern, lambda found: f"{option(found[1])} {_spelled(found[2])}", text)
    text = re.sub(r"\b[Cc]heck .*$", "", text)
    text = re.sub(r"\b[a-z]+_[a-z]+\b", lambda found: _if_option(found[0], names), text)
    text = re.sub(r"\bX\b", "the input", text)
    return text.replace("None", "none").rstrip(" ,;:")


def warn_of_single(job: FileJob) -> None:
    """Warn that learning from the only image changes little."""
    if job.command == "match":
        warnings.warn(
            "match without --reference or --fit learns from this single image, and returns nearly"
            " a copy of it",
            stacklevel=2,
        )


def option(name: str) -> str:
    """Return the option of a parameter."""
    return "--" + name.replace("_", "-")


def _if_option(word: str, names: set[str]) -> str:
    """Return a word, as an option if it is the name of a parameter."""
    return option(word) if word in names else word


def _spelled(value: str) -> str:
    """Return a value as it is written on the command line."""
    return re.sub(r"['()\s]", "", value).replace("None", "none")
