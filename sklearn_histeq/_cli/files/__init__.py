"""The commands for files: pictures or arrays in, equalized, out.

They use the package as anybody would, through its public names. The rooms: `_options` has the
options and their help, `_task` says what is asked for and makes the estimators, `_npy` and
`_folder` read, transform and write, `_pictures` knows the formats of pictures and `_deep_png` the
one that Pillow does not, `_whole` lets files and folders appear whole or not at all, and
`_progress` draws the bar.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.atomic_write import check_free
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.folder import N_EXAMPLES, Example, Pictures
from sklearn_histeq._cli.files.npy import NpyFile, run_array
from sklearn_histeq._cli.files.pictures import FORMATS, read_picture
from sklearn_histeq._cli.files.task import Task
from sklearn_histeq._display import save_png

_SIGNATURE = "sklearn-histeq"  # kept in a figure's file


def run(task: Task) -> int:
    """Run a command on files, and return its exit status.

    Raises
    ------
    UsageError
        If the options are wrong, or do not fit the input.
    FileError
        If a file cannot be read, used or written. OUT is then what it was.
    """
    with _warnings_in_lines(task.quiet), _ending_on_sigterm():
        _check_task(task)
        reference = None if task.reference is None else _read_reference(task)
        if _is_array(task.source):
            status = 0
            before, after = run_array(task, reference, N_EXAMPLES if task.plot else 0)
        else:
            status, examples = Pictures(task, reference, say_error).run()
            before, after = _stack(examples)
        if task.plot is not None:
            _plot(task, before, after)
        return status


def say_error(message: str) -> None:
    """Tell a problem in one line."""
    print(f"histeq: error: {' '.join(message.split())}", file=sys.stderr, flush=True)


def _is_array(path: Path) -> bool:
    """Tell whether a path is that of an array, not of pictures."""
    return path.suffix.lower() == ".npy" and not path.is_dir()


# Checks before any work ---------------------------------------------------------------------------


def _check_task(task: Task) -> None:
    """Check what can be known before anything is read."""
    task.source.stat()  # or the system says why not
    _check_kinds(task)
    _check_parameters(task)
    if task.plot is not None:
        _check_plot(task)


def _check_kinds(task: Task) -> None:
    """Check that OUT, and TRAIN, are of the kind that IN is of."""
    is_array = _is_array(task.source)
    if is_array and not _is_array(task.target):
        raise UsageError(f"IN is an .npy file, but OUT is {task.target}: expected another .npy")
    is_picture = not is_array and not task.source.is_dir()
    if is_picture and task.target.suffix.lower() not in FORMATS and not task.target.is_dir():
        raise UsageError(
            f"IN is no .npy file and no folder, and so a picture, but OUT is {task.target}:"
            f" expected a name that ends in one of {', '.join(FORMATS)}"
        )
    if task.train is not None and _is_array(task.train) != is_array:
        raise UsageError(
            f"IN is {task.source}, but --fit is {task.train}: expected both .npy, or both pictures"
        )


def _check_parameters(task: Task) -> None:
    """Check parameters that have no meaning here; the estimators check the others."""
    if task.train is not None and not task.learns:
        raise UsageError(f"--fit {task.train} without --scope dataset: nothing would be learned")
    if not _is_array(task.source):
        for name in ("channel_axis", "image_shape"):
            if name in task.params:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} with pictures, but expected it with an .npy only")


def _check_plot(task: Task) -> None:
    """Check that a figure can be drawn and put there."""
    assert task.plot is not None
    if task.plot.suffix.lower() != ".png":
        raise UsageError(f"--plot {task.plot}, but expected a name that ends in .png")
    check_free(task.plot, task.overwrite)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('--plot takes matplotlib: pip install "sklearn-histeq[plot]"')


# The reference ------------------------------------------------------------------------------------


def _read_reference(task: Task) -> NDArray[Any]:
    """Return the reference, laid out as one image of IN."""
    assert task.reference is not None
    if _is_array(task.reference):
        with NpyFile(task.reference, n_dimensions=1) as file:
            return np.array(file.whole())
    try:
        colours = read_picture(task.reference).pages[0].colours
    except PictureError as error:
        raise FileError(f"{task.reference}: {error}") from error
    first = _is_array(task.source) and task.params.get("channel_axis", 1) == 1
    return np.moveaxis(colours, -1, 0) if colours.ndim == 3 and first else colours


# The figure ---------------------------------------------------------------------------------------


def _stack(examples: list[Example]) -> Example:
    """Return the first pictures of the first one's shape and type, as arrays before and after."""
    if not examples:
        return np.array([]), np.array([])
    kinds = [[(part.shape, part.dtype) for part in pair] for pair in examples]
    alike = [pair for pair, kind in zip(examples, kinds, strict=True) if kind == kinds[0]]
    before, after = zip(*alike[:N_EXAMPLES], strict=True)
    return np.stack(before), np.stack(after)


def _plot(task: Task, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Draw images before and after."""
    assert task.plot is not None
    names = ("image_shape", "color")
    layout: dict[str, Any] = {name: task.params[name] for name in names if name in task.params}
    layout["channel_axis"] = task.params.get("channel_axis", 1 if _is_array(task.source) else -1)
    if before.ndim == 3:
        layout.pop("color", None)  # gray has no other value than itself
    display = importlib.import_module("sklearn_histeq").EqualizationDisplay
    try:
        figure = display.from_images(before, after, **layout).figure_
    except ValueError as error:
        raise FileError(f"{task.plot} cannot be drawn, {task.target} is done: {error}") from error
    try:
        save_png(figure, task.plot, _SIGNATURE)
    except OSError as error:
        raise FileError(f"{task.plot}: {error.strerror or error}") from error


# The surroundings ---------------------------------------------------------------------------------


@contextmanager
def _warnings_in_lines(quiet: bool) -> Iterator[None]:
    """Tell each warning of an estimator once, in one line; nothing with quiet."""
    told: set[str] = set()

    def show(message: Any, category: Any, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if issubclass(category, UserWarning) and not quiet and text not in told:
            told.add(text)
            print(f"histeq: warning: {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters, it raises
        yield


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does: nothing half written stays."""

    def end(*_: Any) -> None:
        raise SystemExit(143)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
