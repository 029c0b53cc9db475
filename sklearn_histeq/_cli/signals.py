"""Ctrl-C, SIGTERM and SIGHUP, which end a run in one line, whatever it is doing.

This file imports nothing but small modules of the standard library: before its handlers are
installed, Python shows a traceback after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_received: list[int] = []  # the signal that ended the run
_clean_ups: list[Callable[[], None]] = []
_is_nothing_begun = False


def at_end(clean_up: Callable[[], None]) -> None:
    """Register what to call when a run ends, whatever ends it."""
    _clean_ups.append(clean_up)


@contextmanager
def ending_run(is_process: bool = False) -> Iterator[None]:
    """Let the first of Ctrl-C, SIGTERM and SIGHUP end the run by a KeyboardInterrupt, and clean up.

    Later signals are ignored, so that they cannot interrupt the cleaning up. A signal that was
    ignored before (as SIGHUP by nohup) stays ignored. Afterwards the handlers are as they were, or
    if the process ends with the run, all signals are ignored.
    """
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in before.items() if old != signal.SIG_IGN}

    def ignore() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    def end(number: int, frame: object) -> None:
        ignore()
        _received.append(number)
        if is_process and _is_nothing_begun:
            _exit_at_once()
        end_if_received()

    try:
        try:
            for number in before:
                signal.signal(number, end)
            yield
        finally:
            ignore()
    finally:  # `end` may interrupt the inner clause, but not this one
        for clean_up in _clean_ups:
            clean_up()
        if not is_process:
            for number, old in before.items():
                signal.signal(number, old or signal.SIG_DFL)


@contextmanager
def nothing_begun() -> Iterator[None]:
    """Let a signal end the process at once, since there is nothing to clean up.

    An exception would not do while modules are imported: some of Python's own functions, which
    forget modules, report it and go on.
    """
    global _is_nothing_begun
    _is_nothing_begun = True
    try:
        yield
    finally:
        _is_nothing_begun = False


def end_if_received() -> None:
    """End the run if a signal came, even if other code has caught what its handler raised."""
    if _received:
        raise KeyboardInterrupt


def last_words() -> tuple[str, int]:
    """Return the line to say after a signal, below the ^C of a terminal, and the exit status."""
    number = _received[0] if _received else signal.SIGINT
    start = "\n" if os.isatty(2) else ""
    how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    return f"{start}histeq: {how}\n", 128 + number


def _exit_at_once() -> None:
    """Say the last words and end the process."""
    line, status = last_words()
    with suppress(OSError):  # after SIGHUP there may be no terminal
        os.write(2, line.encode())
    os._exit(status)
