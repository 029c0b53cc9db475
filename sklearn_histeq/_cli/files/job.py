"""What the command line asks for, and the estimators that do it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher
from sklearn_histeq._cli.errors import UsageError

_ESTIMATORS = {
    "equalize": HistogramEqualizer,
    "clahe": AdaptiveHistogramEqualizer,
    "match": HistogramMatcher,
}


@dataclass(frozen=True)
class FileJob:
    """One run of a command: what to read, how to change it, and where to write it."""

    command: str
    source: Path
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
        return _ESTIMATORS[self.command](**(self.params | params))


def check(estimator: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Let an estimator check its parameters against images of a shape and type; reads no pixel.

    The estimator is not to be used afterwards: it may have learned from nothing.
    """
    one = np.broadcast_to(np.zeros((), dtype), (1, *shape[1:]))
    try:
        estimator.fit(one)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
