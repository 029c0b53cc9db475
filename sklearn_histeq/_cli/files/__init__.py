"""The commands for files: pictures or arrays are read, equalized and written.

They use the package through its public names. `options` has the options and their help, and `job`
describes a run. `npy` processes arrays by blocks, and `picture_run` processes pictures: `changer`
applies the estimators, and `formats` chooses among the modules that read and write one format each.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq import EqualizationDisplay
from sklearn_histeq._cli.atomic_write import check_file_target, output_folder, save_figure
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.formats import FORMATS, read_picture
from sklearn_histeq._cli.files.job import FileJob, in_options, is_array, option, warn_of_single
from sklearn_histeq._cli.files.npy import NpyFile, run_array
from sklearn_histeq._cli.files.picture_run import (
    N_EXAMPLES,
    Example,
    PictureRun,
    check_unique,
    stack_examples,
    summarize,
)
from sklearn_histeq._cli.progress import say

_SIGNATURE = "sklearn-histeq"  # stored in a figure's file
_MAX_PIXELS = 2**29  # Pillow warns above this, and refuses twice as many


def run(job: FileJob) -> int:
    """Run a command on files, and return its exit status.

    Raises
    ------
    UsageError
        If the options are wrong, or do not fit the input.
    FileError
        If a file cannot be read, used or written. OUT is then what it was.
    """
    with _surroundings(job.quiet):
        _check_inputs(job)
        _check_parameters(job)
        if job.plot is not None:
            _check_plot(job)
        reference = None if job.reference is None else _read_reference(job)
        if is_array(job.sources[0]):
            return _run_arrays(job, reference)
        pictures = PictureRun(job, reference)
        if job.learns and job.train is None and pictures.n_pictures == 1:
            warn_of_single(job)
        status, examples = pictures.run()
        if job.plot is not None and examples:
            _plot(job, *stack_examples(examples))
        return status


def _run_arrays(job: FileJob, reference: NDArray[Any] | None) -> int:
    """Run over .npy files, one by one."""
    n_examples = N_EXAMPLES if job.plot else 0
    if len(job.sources) == 1:
        into = job.target / job.sources[0].name if job.target.is_dir() else job.target
        examples = [run_array(replace(job, target=into), reference, n_examples)]
    else:
        examples = _run_several_arrays(job, reference, n_examples)
    if job.plot is not None and examples:
        _plot(job, *examples[0])
    return int(len(examples) < len(job.sources))


def _run_several_arrays(
    job: FileJob, reference: NDArray[Any] | None, n_examples: int
) -> list[Example]:
    """Run over .npy files one by one, into a folder; return examples of those that succeed."""
    names = [source.name for source in job.sources]
    check_unique(names)
    examples, failed = [], []
    with output_folder(job.target):
        for name in names:
            check_file_target(job.target / name, job.overwrite)
        for source in job.sources:
            one = replace(job, sources=(source,), target=job.target / source.name)
            try:
                examples.append(run_array(one, reference, n_examples))
            except FileError as error:
                failed.append(str(error))
                say(f"error: {error}")
    if not job.quiet:
        summarize(len(examples), failed)
    return examples


# Checks before any work ---------------------------------------------------------------------------


def _check_inputs(job: FileJob) -> None:
    """Check that the inputs, OUT and TRAIN are of one kind."""
    for path in [*job.sources, *filter(None, (job.reference, job.train))]:
        path.stat()  # or the system says why not
        if not path.is_file() and not path.is_dir():
            raise FileError(f"{path} is not a regular file, but expected a picture or an .npy file")
    for path in job.sources:
        if path.suffix.lower() == ".npz":
            raise UsageError(f"{path} is an archive of .npy files; unzip it, and give one of them")
        if len(job.sources) > 1 and path.is_dir():
            raise UsageError(f"{path} is a folder, but expected several files, or a single folder")
    arrays = {is_array(path) for path in job.sources}
    if len(arrays) > 1:
        raise UsageError("IN has .npy files and pictures, but expected only one kind")
    _check_target(job, arrays.pop())
    if job.train is not None and is_array(job.train) != is_array(job.sources[0]):
        raise UsageError(
            f"IN is {job.sources[0]}, but --fit is {job.train}: expected both .npy, or both"
            " pictures"
        )


def _check_target(job: FileJob, of_arrays: bool) -> None:
    """Check that OUT is a name for what will be written."""
    target = job.target
    is_single = len(job.sources) == 1 and not job.sources[0].is_dir()
    if not is_single or target.is_dir():
        if target.exists() and not target.is_dir():
            raise UsageError(f"OUT is {target}, which is a file, but expected a folder")
    elif of_arrays and not is_array(target):
        raise UsageError(f"IN is an .npy file, but OUT is {target}: expected another .npy")
    elif not of_arrays and target.suffix.lower() not in FORMATS:
        raise UsageError(
            f"IN is a picture, but OUT is {target}: expected an existing folder, or a name that"
            f" ends in one of {', '.join(FORMATS)}"
        )


def _check_parameters(job: FileJob) -> None:
    """Check parameters that have no meaning here; the estimators check the others."""
    if job.train is not None and not job.learns:
        raise UsageError(f"--fit {job.train} needs --scope dataset: otherwise nothing is learned")
    if is_array(job.sources[0]):
        if job.learns and job.train is None and len(job.sources) > 1:
            raise UsageError("several .npy files need --fit to learn from, or one file at a time")
        return
    for name in ("channel_axis", "image_shape"):
        if name in job.params:
            raise UsageError(f"{option(name)} applies to .npy files only, but IN has pictures")


def _check_plot(job: FileJob) -> None:
    """Check that a figure can be drawn and put there."""
    assert job.plot is not None
    if job.plot.suffix.lower() != ".png":
        raise UsageError(f"--plot {job.plot}, but expected a name that ends in .png")
    plot = os.path.realpath(job.plot)
    others = [*job.sources, job.target, job.reference, job.train]
    if any(path is not None and os.path.realpath(path) == plot for path in others):
        raise UsageError(f"--plot {job.plot} is also read or written; name another file")
    is_folder = job.sources[0].is_dir()
    if is_folder and Path(os.path.realpath(job.target)) in Path(plot).parents:
        raise UsageError(f"--plot {job.plot} is inside OUT; name a file elsewhere")
    check_file_target(job.plot, job.overwrite)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('--plot needs matplotlib: pip install "sklearn-histeq[plot]"')


# The reference ------------------------------------------------------------------------------------


def _read_reference(job: FileJob) -> NDArray[Any]:
    """Return the reference, laid out as one image of IN."""
    assert job.reference is not None
    if is_array(job.reference):
        with NpyFile(job.reference, n_dimensions=1) as file:
            return np.array(file.whole())
    try:
        pages = read_picture(job.reference).pages
    except PictureError as error:
        raise FileError(f"{job.reference}: {error}") from error
    if len(pages) > 1:
        raise FileError(f"{job.reference} has {len(pages)} pages, but expected one")
    colors, _, nodata = pages[0]
    if nodata is not None and (colors == nodata).any():
        raise FileError(f"{job.reference} has missing pixels (nodata), but expected none")
    is_first = is_array(job.sources[0]) and job.params.get("channel_axis", 1) == 1
    return np.moveaxis(colors, -1, 0) if colors.ndim == 3 and is_first else colors


# The figure ---------------------------------------------------------------------------------------


def _plot(job: FileJob, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Draw images before and after."""
    assert job.plot is not None
    names = ("image_shape", "color")
    layout: dict[str, Any] = {name: job.params[name] for name in names if name in job.params}
    of_arrays = is_array(job.sources[0])
    layout["channel_axis"] = job.params.get("channel_axis", 1 if of_arrays else -1)
    if before.ndim == 3:
        layout.pop("color", None)  # a gray value is the brightest channel already
    try:
        figure = EqualizationDisplay.from_images(before, after, **layout).figure_
    except ValueError as error:
        raise FileError(
            f"{job.plot} cannot be drawn, but {job.target} is written: {error}"
        ) from error
    save_figure(figure, job.plot, job.overwrite, _SIGNATURE)


# The surroundings ---------------------------------------------------------------------------------


@contextmanager
def _surroundings(quiet: bool) -> Iterator[None]:
    """Report each warning of an estimator once, in one line; with quiet, report none."""
    told: set[str] = set()

    def show(message: Any, category: Any, *_: Any, **__: Any) -> None:
        text = in_options(message)
        if issubclass(category, UserWarning) and not quiet and text not in told:
            told.add(text)
            say(f"warning: {text}")

    most = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it raises what matters
        Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = most
