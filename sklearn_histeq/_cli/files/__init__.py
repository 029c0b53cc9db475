"""The commands for files: pictures or arrays in, equalized, out.

They use the package through its public names. `options` has the options and their help, `job`
describes a run and makes the estimators, `npy` and `folder` read, transform and write, `pictures`
reads and writes the formats of pictures, and `deep_png` the one that Pillow does not.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq import EqualizationDisplay
from sklearn_histeq._cli.atomic_write import check_file_target, save_figure
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.folder import N_EXAMPLES, Example, Pictures
from sklearn_histeq._cli.files.job import FileJob
from sklearn_histeq._cli.files.npy import NpyFile, run_array
from sklearn_histeq._cli.files.pictures import FORMATS, read_picture

_SIGNATURE = "sklearn-histeq"  # kept in a figure's file


def run(job: FileJob) -> int:
    """Run a command on files, and return its exit status.

    Raises
    ------
    UsageError
        If the options are wrong, or do not fit the input.
    FileError
        If a file cannot be read, used or written. OUT is then what it was.
    """
    with _warnings_in_lines(job.quiet):
        _check_job(job)
        reference = None if job.reference is None else _read_reference(job)
        if _is_array(job.source):
            status = 0
            before, after = run_array(job, reference, N_EXAMPLES if job.plot else 0)
        else:
            status, examples = Pictures(job, reference, say_error).run()
            before, after = _stack(examples)
        if job.plot is not None:
            _plot(job, before, after)
        return status


def say_error(message: str) -> None:
    """Tell a problem in one line."""
    print(f"histeq: error: {' '.join(message.split())}", file=sys.stderr, flush=True)


def _is_array(path: Path) -> bool:
    """Tell whether a path is that of an array, not of pictures."""
    return path.suffix.lower() == ".npy" and not path.is_dir()


# Checks before any work ---------------------------------------------------------------------------


def _check_job(job: FileJob) -> None:
    """Check what can be known before anything is read."""
    job.source.stat()  # or the system says why not
    _check_kinds(job)
    _check_parameters(job)
    if job.plot is not None:
        _check_plot(job)


def _check_kinds(job: FileJob) -> None:
    """Check that OUT, and TRAIN, are of the kind that IN is of."""
    is_array = _is_array(job.source)
    if is_array and not _is_array(job.target):
        raise UsageError(f"IN is an .npy file, but OUT is {job.target}: expected another .npy")
    is_picture = not is_array and not job.source.is_dir()
    if is_picture and job.target.suffix.lower() not in FORMATS and not job.target.is_dir():
        raise UsageError(
            f"IN is no .npy file and no folder, and so a picture, but OUT is {job.target}:"
            f" expected a name that ends in one of {', '.join(FORMATS)}"
        )
    if job.train is not None and _is_array(job.train) != is_array:
        raise UsageError(
            f"IN is {job.source}, but --fit is {job.train}: expected both .npy, or both pictures"
        )


def _check_parameters(job: FileJob) -> None:
    """Check parameters that have no meaning here; the estimators check the others."""
    if job.train is not None and not job.learns:
        raise UsageError(f"--fit {job.train} without --scope dataset: nothing would be learned")
    if not _is_array(job.source):
        for name in ("channel_axis", "image_shape"):
            if name in job.params:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} with pictures, but expected it with an .npy only")


def _check_plot(job: FileJob) -> None:
    """Check that a figure can be drawn and put there."""
    assert job.plot is not None
    if job.plot.suffix.lower() != ".png":
        raise UsageError(f"--plot {job.plot}, but expected a name that ends in .png")
    check_file_target(job.plot, job.overwrite)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('--plot takes matplotlib: pip install "sklearn-histeq[plot]"')


# The reference ------------------------------------------------------------------------------------


def _read_reference(job: FileJob) -> NDArray[Any]:
    """Return the reference, laid out as one image of IN."""
    assert job.reference is not None
    if _is_array(job.reference):
        with NpyFile(job.reference, n_dimensions=1) as file:
            return np.array(file.whole())
    try:
        colours = read_picture(job.reference).pages[0].colours
    except PictureError as error:
        raise FileError(f"{job.reference}: {error}") from error
    first = _is_array(job.source) and job.params.get("channel_axis", 1) == 1
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


def _plot(job: FileJob, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Draw images before and after."""
    assert job.plot is not None
    names = ("image_shape", "color")
    layout: dict[str, Any] = {name: job.params[name] for name in names if name in job.params}
    layout["channel_axis"] = job.params.get("channel_axis", 1 if _is_array(job.source) else -1)
    if before.ndim == 3:
        layout.pop("color", None)  # gray has no other value than itself
    try:
        figure = EqualizationDisplay.from_images(before, after, **layout).figure_
    except ValueError as error:
        raise FileError(f"{job.plot} cannot be drawn, {job.target} is done: {error}") from error
    save_figure(figure, job.plot, job.overwrite, _SIGNATURE)


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
