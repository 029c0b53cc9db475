"""The command line: runs one command, and reports an error or a signal in one line.

`parser` has the commands. It is imported by `main`, when signals are handled already.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sklearn_histeq._cli import signals
from sklearn_histeq._cli.errors import FileError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; those of the process if None.

    Returns
    -------
    int
        The exit status: 0, 1 after an error, 2 for wrong options, 130 after Ctrl-C, and 128 plus
        the number of another signal that ended the run.
    """
    try:
        with signals.ending_run(is_process=argv is None):
            return _run(sys.argv[1:] if argv is None else argv, is_process=argv is None)
    except KeyboardInterrupt:
        line, status = signals.last_words()
        print(line, end="", file=sys.stderr, flush=True)
        return status
    except BrokenPipeError:  # the reader has ended, as in `histeq demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except UsageError as error:
        return _fail(f"error: {error}", status=2)
    except FileError as error:
        return _fail(f"error: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"error: {where}{error.strerror or error}")
    except MemoryError:
        return _fail("error: not enough memory")


def _run(arguments: Sequence[str], is_process: bool) -> int:
    """Import and run a command, and return the exit status."""
    with signals.nothing_begun(), _imports_that_last(is_process):
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no error
                stream.reconfigure(errors="replace")
        from sklearn_histeq._cli.parser import parse

        work = parse(arguments)
    status = work() or 0
    if sys.stdout is not None:  # as in `histeq ... >&-`
        sys.stdout.flush()
    return status


@contextmanager
def _imports_that_last(is_process: bool) -> Iterator[None]:
    """Let the garbage collector leave out what is imported, if that lasts as long as the process.

    It would look through all of scikit-learn, while it is imported and when Python ends.
    """
    if not is_process:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _fail(message: str, status: int = 1) -> int:
    """Report in one line what went wrong, and return the exit status."""
    from sklearn_histeq._cli.progress import say

    say(message)
    return status
