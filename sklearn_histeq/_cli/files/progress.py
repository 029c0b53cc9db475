"""What a run tells on the way: a bar with throughput on a terminal, and messages in lines."""

from __future__ import annotations

import shutil
import sys
import time

_SECONDS_BETWEEN = 0.1
_BAR = 16  # the line fits into 80 columns


class Progress:
    """A bar on stderr, where that is a terminal and nobody wants quiet; else nothing.

    Parameters
    ----------
    verb : str
        What is being done, as "equalize".
    total : int
        How many images there are.
    unit : str
        What they are called, in the plural.
    quiet : bool
    """

    def __init__(self, verb: str, total: int, unit: str, quiet: bool) -> None:
        self._verb, self._total, self._unit = verb, total, unit
        self._is_shown = not quiet and sys.stderr.isatty()
        self._done = self._n_bytes = 0
        self._start = self._last = time.monotonic()

    def add(self, n: int, n_bytes: int) -> None:
        """Count images that are done, and the bytes of their pixels."""
        self._done += n
        self._n_bytes += n_bytes
        now = time.monotonic()
        if self._is_shown and (now - self._last > _SECONDS_BETWEEN or self._done == self._total):
            self._last = now
            self._draw(self.line(now - self._start))

    def line(self, seconds: float) -> str:
        """The bar after so many seconds."""
        share = self._done / self._total
        bar = "#" * round(_BAR * share)
        speed = self._n_bytes / 1e6 / max(seconds, 1e-9)
        left = seconds * (1 - share) / share if share else 0
        return (
            f"{self._verb} [{bar:.<{_BAR}}] {share:4.0%}  {self._done}/{self._total} {self._unit}"
            f"  {speed:.0f} MB/s  {left:.0f} s left"
        )

    def say(self, message: str) -> None:
        """Write a message in a line of its own, above the bar."""
        self.clear()
        print(message, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self._is_shown:
            self._write("\r\033[K")

    def _draw(self, line: str) -> None:
        """Draw the bar over the last, in one line."""
        self._write("\r\033[K" + line[: shutil.get_terminal_size().columns - 1])

    def _write(self, text: str) -> None:
        """Write without a line's end."""
        sys.stderr.write(text)
        sys.stderr.flush()
