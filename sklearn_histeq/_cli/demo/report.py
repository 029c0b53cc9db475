"""What the demo prints: paragraphs and tables in 80 columns on standard output.

Each line is printed as soon as it is known. Between them the status line shows the progress.
"""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Sequence

import numpy as np

from sklearn_histeq._cli.demo.search import Choice
from sklearn_histeq._cli.progress import StatusLine, bar

WIDTH = 80
_PART, _CELL = 15, 13  # columns of the table of accuracies


class Report:
    """Prints results on standard output, and the progress in the status line."""

    def __init__(self) -> None:
        self._out, self._status_line = sys.stdout, StatusLine()
        self._start = time.monotonic()

    def line(self, text: str = "") -> None:
        """Print one line of results, with +- where the stream cannot encode ±."""
        self._status_line.clear()
        try:
            "±".encode(self._out.encoding or "utf-8")
        except UnicodeEncodeError:
            text = text.replace(" ±", "+-")
        print(text, file=self._out, flush=True)

    def paragraph(self, text: str) -> None:
        """Print a paragraph in lines of 80 columns."""
        for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
            self.line(line)

    def status(self, text: str) -> None:
        """Show in the status line what is being done."""
        self._status_line.show(f"{self.seconds():3.0f} s  {text}")

    def progress(self, text: str, total: int, done: int) -> None:
        """Show in the status line how much of what is being done is done."""
        self.status(f"{bar(done / total)}  {text}")

    def seconds(self) -> float:
        """Return the time since the report began."""
        return time.monotonic() - self._start


def accuracy_header(columns: Sequence[str]) -> str:
    """Return the header of the table of accuracies."""
    cells = "".join(f"{column:>{_CELL}}" for column in columns)
    return f"{'accuracy':<{_PART}}{cells}"


def accuracy_row(part: str, scores: Sequence[Sequence[float]]) -> str:
    """Return the row of a test part, with the scores of each column."""
    cells = "".join(f"{mean_and_spread(column):>{_CELL}}" for column in scores)
    return f" {part:<{_PART - 1}}{cells}".rstrip()


def mean_and_spread(scores: Sequence[float]) -> str:
    """Return the mean of several scores with their standard deviation, or a single score."""
    if len(scores) == 1:
        return f"{scores[0]:.3f}       "  # aligns the decimal points
    return f"{np.mean(scores):.3f} ±{np.std(scores):.3f}"


def search_header(n_settings: int, tests: Sequence[str]) -> str:
    """Return the header of the table of searches, with a column for each test part."""
    settings, tested = f"{n_settings} settings", "".join(f"{name:>7}" for name in tests)
    return f"{settings:<{_PART}}{'valid.':>7}{tested}{'ties':>6}  GridSearchCV's choice"


def search_row(folds: str, choice: Choice) -> str:
    """Return the row of a search: its scores, and the setting that it chose."""
    validated = "" if choice.validated is None else f"{choice.validated:.3f}"
    n_ties = "" if choice.n_ties is None else choice.n_ties
    tested = "".join(f"{score:7.3f}" for score in choice.tested)
    return f" {folds:<{_PART - 1}}{validated:>7}{tested}{n_ties:>6}  {choice.setting}"
