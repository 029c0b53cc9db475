"""What the demo prints: lines and tables for 80 columns, and the progress while it works.

Results go to standard output, a line as soon as it is known. The progress is one line on standard
error that is written over and over, and only on a terminal: in a pipe or a log there is none.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence

import numpy as np

from sklearn_histeq._cli.demo.search import Choice

WIDTH = 80
_PART, _CELL = 15, 13  # columns of the table of accuracies


class Report:
    """Prints results, and between them the progress.

    Attributes
    ----------
    out, err : text stream
        Standard output and error, as they were when the report began.
    """

    def __init__(self) -> None:
        self.out, self.err = sys.stdout, sys.stderr
        self._start = time.monotonic()
        self._shown = 0  # characters of the progress that now stand on the terminal

    def line(self, text: str = "") -> None:
        """Print one line of results."""
        self.status("")
        print(self._encodable(text), file=self.out, flush=True)

    def paragraph(self, text: str) -> None:
        """Print a paragraph, broken into lines."""
        for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
            self.line(line)

    def status(self, text: str) -> None:
        """Show how far the work is, in the place of the progress shown before."""
        if not self.err.isatty() or not (text or self._shown):
            return
        text = text and f"{time.monotonic() - self._start:3.0f} s  {text}"
        text = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r{text:<{self._shown}}\r{text}", end="", file=self.err, flush=True)
        self._shown = len(text)

    def seconds(self) -> float:
        """Return the time since the report began."""
        return time.monotonic() - self._start

    def _encodable(self, text: str) -> str:
        """Spell the plus-minus sign in ASCII where the stream knows no other."""
        try:
            "±".encode(self.out.encoding or "utf-8")
        except UnicodeEncodeError:
            text = text.replace(" ±", "+-")
        return text


def accuracy_header(columns: Sequence[str]) -> str:
    """Return the first line of the table of accuracies."""
    cells = "".join(f"{column:>{_CELL}}" for column in columns)
    return f"{'accuracy':<{_PART}}{cells}"


def accuracy_row(part: str, scores: Sequence[Sequence[float]]) -> str:
    """Return a line of the table: a test part, and the scores of each column."""
    cells = "".join(f"{mean_and_spread(column):>{_CELL}}" for column in scores)
    return f" {part:<{_PART - 1}}{cells}".rstrip()


def mean_and_spread(scores: Sequence[float]) -> str:
    """Write the mean of several scores with their standard deviation; one score by itself."""
    if len(scores) == 1:
        return f"{scores[0]:.3f}       "  # so that the points stand in line
    return f"{np.mean(scores):.3f} ±{np.std(scores):.3f}"


def search_header(n_settings: int, tests: Sequence[str]) -> str:
    """Return the first line of the table of searches, which has a column for each test part."""
    settings, tested = f"{n_settings} settings", "".join(f"{name:>7}" for name in tests)
    return f"{settings:<{_PART}}{'valid.':>7}{tested}{'ties':>6}  GridSearchCV's choice"


def search_row(folds: str, choice: Choice) -> str:
    """Return a line of the table: a search's scores, and the setting that it chose."""
    validated = "" if choice.validated is None else f"{choice.validated:.3f}"
    n_ties = "" if choice.n_ties is None else choice.n_ties
    tested = "".join(f"{score:7.3f}" for score in choice.tested)
    return f" {folds:<{_PART - 1}}{validated:>7}{tested}{n_ties:>6}  {choice.setting}"
