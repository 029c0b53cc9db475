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
from sklearn_histeq._cli import atomic_write
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files import npy, picture_run
from sklearn_histeq._cli.files.formats import FORMATS, read_picture
from sklearn_histeq._cli.files.job import FileJob, in_options, is_array, option, warn_of_single
from sklearn_histeq._cli.files.picture import rescale
from sklearn_histeq._cli.progress import say

_SIGNATURE = "sklearn-histeq"  # stored in a figure's file


def run(job: FileJob) -> int:
    """Run a command on files, and return its exit status.

    Raises
    ------
    UsageError
        If the options are wrong, or do not fit the input.
    FileError
        If a file cannot be read, used or written.
    """
    with _surroundings(job.quiet):
        _check_inputs(job)
        _check_target(job)
        _check_parameters(job)
        if job.plot is not None:
            _check_plot(job, job.plot)
        reference = None if job.reference is None else _read_reference(job, job.reference)
        if is_array(job.sources[0]):
            return _run_arrays(job, reference)
        pictures = picture_run.PictureRun(job, reference)
        if job.learns and job.train is None and pictures.n_pictures == 1:
            warn_of_single(job)
        status, examples = pictures.run()
        if examples:
            _plot(job, *picture_run.stack_examples(examples))
        return status


def _run_arrays(job: FileJob, reference: NDArray[Any] | None) -> int:
    """Run over .npy files, one by one; those that fail are reported."""
    is_single = len(job.sources) == 1
    targets = picture_run.find_targets(job, job.sources)
    sources, existing = picture_run.without_existing(job, targets)
    examples, failed = [], []
    for source in sources:
        try:
            atomic_write.make_folder(targets[source].parent)
            one = replace(job, sources=(source,), target=targets[source])
            n_examples = picture_run.N_EXAMPLES if job.plot else 0
            examples.append(npy.run_array(one, reference, n_examples))
        except FileError as error:
            failed.append(str(error))
            say(f"error: {error}")
    if not is_single and not job.quiet:
        picture_run.summarize(len(examples), failed, n_existing=existing)
    if job.plot is not None and examples:
        _plot(job, *examples[0])
    return int(bool(failed))


# Checks before any work ---------------------------------------------------------------------------


def _check_inputs(job: FileJob) -> None:
    """Check that the inputs and TRAIN are of one kind."""
    for path in [*job.sources, *filter(None, (job.reference, job.train))]:
        path.stat()  # or the system says why not
        if not path.is_file() and not path.is_dir():
            raise FileError(f"{path} is not a regular file, but expected a picture or an .npy file")
    for path in job.sources:
        if path.suffix.lower() == ".npz":
            raise UsageError(f"{path} is an archive of .npy files; unzip it, and give one of them")
        if len(job.sources) > 1 and path.is_dir():
            raise UsageError(f"{path} is a folder, but expected several files, or a single folder")
    if len({is_array(path) for path in job.sources}) > 1:
        raise UsageError("IN has .npy files and pictures, but expected only one kind")
    if job.train is not None and is_array(job.train) != is_array(job.sources[0]):
        given = f"IN is {job.sources[0]}, but --fit is {job.train}"
        raise UsageError(f"{given}: expected both .npy, or both pictures")


def _check_target(job: FileJob) -> None:
    """Check that OUT is a name for what will be written."""
    target, of_arrays = job.target, is_array(job.sources[0])
    is_single = len(job.sources) == 1 and not job.sources[0].is_dir()
    if not is_single or target.is_dir():
        if target.exists() and not target.is_dir():
            raise UsageError(f"OUT is {target}, which is a file, but expected a folder")
    elif of_arrays and not is_array(target):
        raise UsageError(f"IN is an .npy file, but OUT is {target}: expected another .npy")
    elif not of_arrays and target.suffix.lower() not in FORMATS:
        expected = f"an existing folder, or a name that ends in one of {', '.join(FORMATS)}"
        raise UsageError(f"IN is a picture, but OUT is {target}: expected {expected}")


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


def _check_plot(job: FileJob, path: Path) -> None:
    """Check that a figure can be drawn and put there."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot {path}, but expected a name that ends in .png")
    plot = os.path.realpath(path)
    others = filter(None, [*job.sources, job.target, job.reference, job.train])
    if plot in map(os.path.realpath, others):
        raise UsageError(f"--plot {path} is also read or written; name another file")
    if job.sources[0].is_dir() and Path(os.path.realpath(job.target)) in Path(plot).parents:
        raise UsageError(f"--plot {path} is inside OUT; name a file elsewhere")
    atomic_write.check_file_target(path, job.overwrite)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('--plot needs matplotlib: pip install "sklearn-histeq[plot]"')


# The reference, the figure and the surroundings ---------------------------------------------------


def _read_reference(job: FileJob, path: Path) -> NDArray[Any]:
    """Return the reference, laid out as one image of IN."""
    if is_array(path):
        with npy.NpyFile(path, n_dimensions=1) as file:
            return np.array(file.whole())
    try:
        pages = read_picture(path, job.max_pixels).pages
    except PictureError as error:
        raise FileError(f"{path}: {error}") from error
    if len(pages) > 1:
        raise FileError(f"{path} has {len(pages)} pages, but expected one")
    colors, nodata = pages[0].colors, pages[0].nodata
    if nodata is not None and (colors == nodata).any():
        raise FileError(f"{path} has missing pixels (nodata), but expected none")
    colors = rescale(colors, colors.dtype, pages[0].top)
    is_first = is_array(job.sources[0]) and job.params.get("channel_axis", 1) == 1
    return np.moveaxis(colors, -1, 0) if colors.ndim == 3 and is_first else colors


def _plot(job: FileJob, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Draw images before and after."""
    assert job.plot is not None
    names = ("image_shape", "color") if before.ndim > 3 else ("image_shape",)
    layout: dict[str, Any] = {name: job.params[name] for name in names if name in job.params}
    of_arrays = is_array(job.sources[0])
    layout["channel_axis"] = job.params.get("channel_axis", 1 if of_arrays else -1)
    try:
        figure = EqualizationDisplay.from_images(before, after, **layout).figure_
    except ValueError as error:
        what = f"{job.plot} cannot be drawn, but {job.target} is written"
        raise FileError(f"{what}: {error}") from error
    atomic_write.save_figure(figure, job.plot, job.overwrite, _SIGNATURE)


@contextmanager
def _surroundings(quiet: bool) -> Iterator[None]:
    """Report each warning of an estimator once, in one line; with quiet, report none.

    Libraries warn of damage in files without naming them. The readers find and name what matters.
    """
    told: set[str] = set()

    def show(message: Any, category: Any, filename: str, *_: Any, **__: Any) -> None:
        text = in_options(message)
        is_foreign = {"PIL", "tifffile", "imagecodecs"} & {*Path(filename).parts}
        is_told = issubclass(category, UserWarning) and not is_foreign
        if is_told and not quiet and text not in told:
            told.add(text)
            say(f"warning: {text}")

    most = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        for name in ("tifffile", "PIL"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        Image.MAX_IMAGE_PIXELS = None  # the readers check the size themselves
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = most
