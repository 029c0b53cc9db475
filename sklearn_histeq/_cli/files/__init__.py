"""The commands for files: pictures or arrays are read, equalized and written.

They use the package through its public names. `options` has the options and their help, and `job`
describes a run. `npy` processes arrays by blocks, and `changer` applies the estimators to pictures;
`formats` chooses among the modules that read and write one format each.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq import EqualizationDisplay
from sklearn_histeq._cli import atomic_write
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files import job as jobs
from sklearn_histeq._cli.files.changer import Changer
from sklearn_histeq._cli.files.formats import FORMATS, encode, is_picture, read_picture
from sklearn_histeq._cli.files.job import Example, FileJob
from sklearn_histeq._cli.files.npy import open_npy, run_array
from sklearn_histeq._cli.files.picture import Data, Picture, rescale
from sklearn_histeq._cli.progress import ProgressBar, say
from sklearn_histeq._cli.signals import end_if_received

_SIGNATURE = "sklearn-histeq"  # stored in a figure's file
_N_EXAMPLES = 4
_NO_MEMORY = "it needs more memory than there is"
_OF_THE_DISK = (errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC))

_Step = Callable[..., Any]  # of a path, and of what an earlier step has returned


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
        files = _Run(job, reference)
        status = files.run()
        if job.plot is not None and files.examples:
            _plot(job, job.plot, files.examples)
        return status


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
    if len({jobs.is_array(path) for path in filter(None, [*job.sources, job.train])}) > 1:
        raise UsageError("the inputs are .npy files and pictures, but expected one kind")


def _check_target(job: FileJob) -> None:
    """Check that OUT is a name for what will be written."""
    target = job.target
    inside, outside = job.sources[0].resolve(), target.resolve()
    if job.is_folder and (inside in [outside, *outside.parents] or outside in inside.parents):
        what = f"IN is {job.sources[0]} and OUT is {target}"
        raise UsageError(f"{what}, but expected two folders, none of them inside the other")
    if job.is_batch or target.is_dir():
        if target.exists() and not target.is_dir():
            raise UsageError(f"OUT is {target}, which is a file, but expected a folder")
    elif job.of_arrays and not jobs.is_array(target):
        raise UsageError(f"IN is an .npy file, but OUT is {target}: expected another .npy")
    elif not job.of_arrays and target.suffix.lower() not in FORMATS:
        expected = f"an existing folder, or a name that ends in one of {', '.join(FORMATS)}"
        raise UsageError(f"IN is a picture, but OUT is {target}: expected {expected}")


def _check_parameters(job: FileJob) -> None:
    """Check parameters that have no meaning here; the estimators check the others."""
    if job.train is not None and not job.learns:
        raise UsageError(f"--fit {job.train} needs --scope dataset: otherwise nothing is learned")
    if job.of_arrays and job.learns and job.train is None and len(job.sources) > 1:
        raise UsageError("several .npy files need --fit to learn from, or one file at a time")
    for name in ("channel_axis", "image_shape", "spatial_dims"):
        if name in job.params and not job.of_arrays:
            raise UsageError(f"{jobs.option(name)} applies to .npy files only, but IN has pictures")


def _check_plot(job: FileJob, path: Path) -> None:
    """Check that a figure can be drawn and put there."""
    others = filter(None, [*job.sources, job.target, job.reference, job.train])
    plot = Path(os.path.realpath(path))
    if {plot, *plot.parents} & {Path(os.path.realpath(other)) for other in others}:
        raise UsageError(f"--plot {path} is read or written, or inside such a folder; name another")
    atomic_write.check_figure_target("--plot", path, job.overwrite)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('--plot needs matplotlib: pip install "sklearn-histeq[plot]"')


# The run ------------------------------------------------------------------------------------------


class _Run:
    """A run over the files of a job; it has the numbers of files for a summary."""

    def __init__(self, job: FileJob, reference: NDArray[Any] | None) -> None:
        self._job, self._reference = job, reference
        self._failed: list[str] = []
        self._n_skipped = self._n_written = 0
        self._bar = ProgressBar("", 0, "", quiet=True)
        self.examples: list[Example] = []
        n_jobs = job.params.get("n_jobs")
        if not job.of_arrays:
            self._changer = Changer(job, reference)
        paths = self._find(job.sources[0]) if job.is_folder else [*job.sources]
        self._targets = find_targets(job, paths)
        self._n_threads = min(effective_n_jobs(n_jobs), len(paths)) if job.is_batch else 1

    def run(self) -> int:
        """Process all files, and return the exit status."""
        job, reason = self._job, None
        paths = self._without_existing()
        n_existing = len(self._targets) - len(paths)
        try:
            if job.of_arrays:
                for path in paths:
                    self._note(_attempt(self._change_array, path)[1])
            else:
                failed = self._learn() if paths and job.learns else set()
                paths = [path for path in paths if path not in failed]
                self._each(job.command, paths, self._change, self._write)
        except FileError as error:
            reason = error
        if job.is_batch and not job.quiet:
            existing = f", {n_existing} skipped (exist)" if n_existing else ""
            others = f", {self._n_skipped} skipped (no pictures)" if self._n_skipped else ""
            say(f"{self._n_written} written, {len(self._failed)} failed{existing}{others}")
            for problem in self._failed:
                say(f"failed: {problem}")
        if reason is not None:
            raise reason
        return int(bool(self._failed))

    def _find(self, source: Path) -> list[Path]:
        """Return the pictures of a folder and its subfolders in order.

        Hidden files and folders are left out, and links to folders are not followed.
        """
        found = []
        walk = os.walk(source, onerror=lambda e: self._note(f"{e.filename}: {e.strerror}"))
        for folder, subfolders, files in walk:
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
        pictures = [path for path in found if is_picture(path)]
        self._n_skipped = len(found) - len(pictures)
        if not pictures:
            raise FileError(f"{source}: no pictures in this folder, as {', '.join(FORMATS)}")
        return pictures

    def _without_existing(self) -> list[Path]:
        """Return the files whose targets are to be written."""
        atomic_write.check_parent(self._job.target)
        existing = {p: target for p, target in self._targets.items() if os.path.lexists(target)}
        if self._job.skip_existing:
            return [path for path in self._targets if path not in existing]
        for target in existing.values():
            atomic_write.check_file_target(target, self._job.overwrite)
        return [*self._targets]

    def _note(self, problem: str) -> None:
        """Report a problem that does not end the run, if there is one."""
        if problem:
            self._failed.append(problem)
            self._bar.clear()
            say(f"error: {problem}")

    def _change_array(self, path: Path) -> None:
        """Write an .npy file of other images."""
        n_examples = _N_EXAMPLES if self._job.plot and not self.examples else 0
        job = replace(self._job, sources=(path,), target=self._targets[path])
        self.examples += run_array(job, self._reference, n_examples)
        self._n_written += 1

    def _each(self, verb: str, paths: list[Path], begin: _Step, finish: _Step) -> set[Path]:
        """Begin on pictures in threads, and finish them one by one; return those that fail."""
        bar = self._bar = ProgressBar(verb, len(paths), "pictures", self._job.quiet)
        failed = set()
        with closing(map_bounded(partial(_attempt, begin), paths, self._n_threads)) as results:
            for path, (begun, problem) in zip(paths, results, strict=True):
                end_if_received()  # no file is written after a signal
                n_bytes, problem = (0, problem) if problem else _attempt(finish, path, begun)
                if problem:
                    failed.add(path)
                    self._note(problem)
                bar.add(1, n_bytes or 0)
        bar.clear()
        return failed

    def _learn(self) -> set[Path]:
        """Learn from all pictures that are to be learned from; return those that fail.

        Those that exist in OUT count as well, so that all are changed alike.
        """
        train, paths = self._job.train, [*self._targets]
        if train is not None:
            paths = [train] if train.is_file() else self._find(train)
        elif len(paths) == 1:
            jobs.warn_of_single(self._job)

        def learn(_: Path, picture: Picture) -> int:
            for page in picture.pages:
                self._changer.learn(page)
            return picture.n_bytes

        read = partial(read_picture, max_pixels=self._job.max_pixels)
        failed = self._each("learn", paths, read, learn)
        if len(failed) == len(paths) and (self._job.is_batch or train is not None):
            raise FileError("no picture could be learned from, so nothing is written")
        return failed

    def _change(self, path: Path) -> tuple[Data, int, list[Example]]:
        """Return the file of a picture with other pixels, and what is told of it."""
        picture = read_picture(path, self._job.max_pixels)
        target = self._targets[path]
        is_converted = not self._job.is_batch and target == self._job.target
        format_ = FORMATS[target.suffix.lower()] if is_converted else picture.format
        changed = [self._changer(page) for page in picture.pages]
        example = [(picture.pages[0].colors, changed[0].colors)] if self._job.plot else []
        return encode(picture, changed, format_), picture.n_bytes, example

    def _write(self, path: Path, changed: tuple[Data, int, list[Example]]) -> int:
        """Write a picture, and return the bytes of its pixels."""
        data, n_bytes, example = changed
        with atomic_write.atomic_file(self._targets[path], self._job.overwrite) as file:
            file.write(data)
        self._n_written += 1
        if len(self.examples) < 4 * _N_EXAMPLES:  # not all have the shape of the first
            self.examples += example
        return n_bytes


def _attempt(step: _Step, path: Path, *more: Any) -> tuple[Any, str]:
    """Return what a step makes of a file, and what goes wrong with it, which ends no run."""
    try:
        return step(path, *more), ""
    except Exception as error:
        is_of_disk = getattr(error.__cause__, "errno", None) in _OF_THE_DISK
        if isinstance(error, UsageError) or is_of_disk:
            raise
        if isinstance(error, FileError):
            return None, str(error)
        reason = f"it cannot be processed ({type(error).__name__}: {error})"
        if isinstance(error, (PictureError, MemoryError)):
            reason = str(error) if isinstance(error, PictureError) else _NO_MEMORY
        return None, f"{path}: {reason}"


def find_targets(job: FileJob, paths: Sequence[Path]) -> dict[Path, Path]:
    """Return where each file of IN goes; refuse two of one name."""
    if not job.is_batch and not job.target.is_dir():
        return {paths[0]: job.target}
    names = [path.relative_to(job.sources[0]) if job.is_folder else path.name for path in paths]
    repeated = sorted(str(name) for name, n in Counter(names).items() if n > 1)
    if repeated:
        raise UsageError(f"several inputs have the name {repeated[0]}; use a folder for each")
    return {path: job.target / name for path, name in zip(paths, names, strict=True)}


def map_bounded(step: _Step, items: Sequence[Any], n_threads: int) -> Generator[Any, None, None]:
    """Like the builtin map, in threads, with few results waiting at a time.

    After an error or a signal no further item is begun.
    """
    if n_threads == 1:
        yield from map(step, items)
        return
    pool, rest = ThreadPoolExecutor(n_threads), iter(items)
    try:
        waiting = deque(pool.submit(step, item) for item in islice(rest, 2 * n_threads))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(step, item) for item in islice(rest, 1))
    finally:
        pool.shutdown(cancel_futures=True)


# The reference, the figure and the surroundings ---------------------------------------------------


def _read_reference(job: FileJob, path: Path) -> NDArray[Any]:
    """Return the reference, laid out as one image of IN."""
    if jobs.is_array(path):
        return np.array(open_npy(path, n_dimensions=1).whole())
    try:
        page, *others = read_picture(path, job.max_pixels).pages
    except PictureError as error:
        raise FileError(f"{path}: {error}") from error
    if others:
        raise FileError(f"{path} has {1 + len(others)} pages, but expected one")
    if page.nodata is not None and (page.colors == page.nodata).any():
        raise FileError(f"{path} has missing pixels (nodata), but expected none")
    colors = rescale(page.colors, page.colors.dtype, page.top)
    is_first = job.of_arrays and job.params.get("channel_axis", 1) == 1
    return np.moveaxis(colors, -1, 0) if colors.ndim == 3 and is_first else colors


def _plot(job: FileJob, path: Path, examples: list[Example]) -> None:
    """Draw the first images, and those of the same shape and type, before and after."""
    kinds = [[(part.shape, part.dtype) for part in pair] for pair in examples]
    alike = [pair for pair, kind in zip(examples, kinds, strict=True) if kind == kinds[0]]
    before, after = map(np.stack, zip(*alike[:_N_EXAMPLES], strict=True))
    if job.params.get("spatial_dims") == 3:
        before, after = (_with_channels(images, job.params) for images in (before, after))
    names = ("image_shape", "color") if before.ndim > 3 else ("image_shape",)
    layout: dict[str, Any] = {name: job.params[name] for name in names if name in job.params}
    layout["channel_axis"] = job.params.get("channel_axis", 1 if job.of_arrays else -1)
    try:
        figure = EqualizationDisplay.from_images(before, after, **layout).figure_
    except ValueError as error:
        what = f"{path} cannot be drawn, but {job.target} is written"
        raise FileError(f"{what}: {error}") from error
    atomic_write.save_figure(figure, path, job.overwrite, _SIGNATURE)


def _with_channels(volumes: NDArray[Any], params: dict[str, Any]) -> NDArray[Any]:
    """Return volumes with an axis of channels, by which the display knows them."""
    if volumes.ndim == 2 and "image_shape" in params:
        volumes = volumes.reshape(len(volumes), *params["image_shape"])
    axis = params.get("channel_axis", 1)
    return np.expand_dims(volumes, axis) if volumes.ndim == 4 else volumes


@contextmanager
def _surroundings(quiet: bool) -> Iterator[None]:
    """Report each warning of an estimator once, in one line; with quiet, report none.

    Libraries warn of damage in files without naming them. The readers find and name what matters.
    """
    told: set[str] = set()

    def show(message: Any, category: Any, filename: str, *_: Any, **__: Any) -> None:
        text = jobs.in_options(message)
        is_foreign = {"PIL", "tifffile", "imagecodecs"} & {*Path(filename).parts}
        is_told = issubclass(category, UserWarning) and not is_foreign
        if is_told and not quiet and text not in told:
            told.add(text)
            say(f"warning: {text}")

    Image.MAX_IMAGE_PIXELS = None  # the readers check the size
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        for name in ("tifffile", "PIL"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield
