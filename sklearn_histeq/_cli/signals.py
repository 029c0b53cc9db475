"""Ctrl-C, SIGTERM and SIGHUP, which end a run in one line, whatever it is doing.

This file imports nothing but small modules of the standard library: before its handlers are
installed, Python shows a traceback after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_received: list[int] = []  # the signal that ended the run
_clean_ups: list[Callable[[], None]] = []
_is_nothing_begun = False
_is_over = False


def at_end(clean_up: Callable[[], None]) -> None:
    """Register what to call when a run ends, whatever ends it."""
    _clean_ups.append(clean_up)


@contextmanager
def ending_run(is_process: bool = False) -> Iterator[None]:
    """Let the first of Ctrl-C, SIGTERM and SIGHUP end the run by a KeyboardInterrupt, and clean up.

    Later signals change nothing, so that they cannot interrupt the cleaning up. A signal that was
    ignored before (as SIGHUP by nohup) stays ignored. Afterwards the handlers are as they were, or
    if the process ends with the run, all signals are ignored.
    """
    global _is_over
    _received.clear()
    _is_over = False
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before, hook = _handlers(), sys.unraisablehook

    def end(number: int, frame: object) -> None:
        # The handlers stay installed: where a second signal has come already, Python would report
        # that its handler is gone.
        if _received or _is_over:
            return
        _received.append(number)
        if is_process and _is_nothing_begun:
            _exit_at_once()
        raise KeyboardInterrupt

    def tell(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:  # `end_if_received` raises it again
            hook(unraisable)

    try:
        try:
            sys.unraisablehook = tell
            for number in before:
                signal.signal(number, end)
            yield
        finally:
            _is_over = True
    finally:  # `end` may interrupt the inner clause, but not this one
        for clean_up in _clean_ups:
            clean_up()
        if is_process:  # a signal between two of the next instructions is not worth a message
            sys.unraisablehook = lambda _: None
        for number, old in before.items():
            signal.signal(number, signal.SIG_IGN if is_process else old or signal.SIG_DFL)
        sys.unraisablehook = hook


def _handlers() -> dict[int, signal._HANDLER]:
    """Return the handlers of the signals that are not ignored."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {number: old for number, old in handlers.items() if old != signal.SIG_IGN}


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
