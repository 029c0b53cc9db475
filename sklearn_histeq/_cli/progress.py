"""Messages and progress on standard error; progress is one line that is written repeatedly."""

from __future__ import annotations

import shutil
import sys
import time

_SECONDS_BETWEEN = 0.1
_BAR = 16  # the whole line fits into 80 columns


def say(message: str) -> None:
    """Write a message to standard error, in one line, without what would control the terminal."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    if sys.stderr is not None:  # as in `histeq ... 2>&-`
        print(f"histeq: {line}", file=sys.stderr, flush=True)


def bar(share: float) -> str:
    """Return a bar that is filled to a share in [0, 1], with the share in percent."""
    return f"[{'#' * round(_BAR * share):.<{_BAR}}] {share:4.0%}"


class StatusLine:
    """The last line of the terminal; nothing is shown in a pipe or with quiet."""

    def __init__(self, quiet: bool = False) -> None:
        self._stream = sys.stderr
        self._is_shown = not quiet and self._stream is not None and self._stream.isatty()
        self._is_empty = True

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._is_shown:
            self._write("\r\033[K" + text[: shutil.get_terminal_size().columns - 1])
            self._is_empty = False

    def clear(self) -> None:
        """Remove the line, to make room for other output."""
        if not self._is_empty:
            self._write("\r\033[K")
            self._is_empty = True

    def _write(self, text: str) -> None:
        """Write without a newline."""
        self._stream.write(text)
        self._stream.flush()


class ProgressBar:
    """A bar with the throughput in the status line.

    Parameters
    ----------
    verb : str
        What is being done, for example "equalize".
    total : int
        Number of images.
    unit : str
        What they are called, in the plural.
    quiet : bool
        Show nothing.
    """

    def __init__(self, verb: str, total: int, unit: str, quiet: bool) -> None:
        self._verb, self._total, self._unit = verb, total, unit
        self._line = StatusLine(quiet)
        self._done = self._n_bytes = 0
        self._start = self._last = time.monotonic()

    def add(self, n: int, n_bytes: int) -> None:
        """Count finished images, and the bytes of their pixels."""
        self._done += n
        self._n_bytes += n_bytes
        now = time.monotonic()
        if now - self._last > _SECONDS_BETWEEN or self._done == self._total:
            self._last = now
            self._line.show(self.text(now - self._start))

    def text(self, seconds: float) -> str:
        """Return the line after so many seconds."""
        share = self._done / self._total
        speed = self._n_bytes / 1e6 / max(seconds, 1e-9)
        left = seconds * (1 - share) / share if share else 0
        return (
            f"{self._verb} {bar(share)}  {self._done}/{self._total} {self._unit}"
            f"  {speed:.0f} MB/s  {left:.0f} s left"
        )

    def clear(self) -> None:
        """Remove the bar."""
        self._line.clear()
