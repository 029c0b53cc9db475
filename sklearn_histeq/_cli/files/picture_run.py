"""Runs over pictures: one, several, or those of a folder with their names and subfolders."""

from __future__ import annotations

import errno
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from sklearn_histeq._cli.atomic_write import check_file_target, check_parent, write_file
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.changer import Changer
from sklearn_histeq._cli.files.formats import FORMATS, encode, is_picture, read_picture
from sklearn_histeq._cli.files.job import FileJob
from sklearn_histeq._cli.files.picture import Page
from sklearn_histeq._cli.progress import ProgressBar, say
from sklearn_histeq._cli.signals import end_if_received

N_EXAMPLES = 4
_OF_THE_DISK = (errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC))

Example = tuple[NDArray[Any], NDArray[Any]]  # colors before and after
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class _Done(NamedTuple):
    """One picture that was processed, or what was wrong with it."""

    path: Path
    data: bytes = b""
    n_bytes: int = 0
    example: Example | None = None
    error: str | None = None


class PictureRun:
    """A run over the pictures of a job."""

    def __init__(self, job: FileJob, reference: NDArray[Any] | None) -> None:
        self._job = job
        is_folder = len(job.sources) == 1 and job.sources[0].is_dir()
        self._is_batch = is_folder or len(job.sources) > 1
        self._failed: list[str] = []
        self._n_skipped = self._n_written = 0
        self._bar: ProgressBar | None = None
        n_jobs = job.params.get("n_jobs")
        self._changer = Changer(job, reference, None if self._is_batch else n_jobs)
        self._changer.check()
        if is_folder:
            _check_apart(job.sources[0], job.target)
        paths = self._find(job.sources[0]) if is_folder else job.sources
        self._targets = find_targets(job, paths)
        self._n_threads = min(effective_n_jobs(n_jobs), len(paths)) if self._is_batch else 1

    @property
    def n_pictures(self) -> int:
        """Number of pictures."""
        return len(self._targets)

    def run(self) -> tuple[int, list[Example]]:
        """Process all pictures; return the exit status and some examples."""
        self._check_plot()
        paths, n_existing = without_existing(self._job, self._targets)
        examples: list[Example] = []
        reason = None
        try:
            if paths and self._job.learns:
                failed = self._learn()
                paths = [path for path in paths if path not in failed]
            examples = self._change_all(paths) if paths else []
            if self._is_batch and self._failed and not self._n_written + n_existing:
                reason = FileError("no picture could be processed, so nothing is written")
        except FileError as error:
            reason = error
        if self._is_batch and not self._job.quiet:
            summarize(self._n_written, self._failed, self._n_skipped, n_existing)
        if reason is not None:
            raise reason
        return int(bool(self._failed)), examples

    def _find(self, source: Path) -> list[Path]:
        """Return the pictures of a folder and its subfolders in order.

        Hidden files and folders are left out, and links to folders are not followed.
        """
        found = []

        def note(error: OSError) -> None:
            self._note(f"{error.filename}: {error.strerror}")

        for folder, subfolders, files in os.walk(source, onerror=note):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
        pictures = [path for path in found if is_picture(path)]
        self._n_skipped = len(found) - len(pictures)
        if not pictures:
            what = f"{source}: no pictures in this folder"
            raise FileError(f"{what}, but expected some of {', '.join(FORMATS)}")
        return pictures

    def _check_plot(self) -> None:
        """Refuse to draw over a picture that is read or written."""
        plot = self._job.plot
        others = [*self._targets, *self._targets.values()] if plot else []
        if plot and os.path.realpath(plot) in map(os.path.realpath, others):
            raise UsageError(f"--plot {plot} is read or written as a picture; name another file")

    def _note(self, problem: str) -> None:
        """Report a problem that does not end the run."""
        self._failed.append(problem)
        if self._bar is not None:
            self._bar.clear()
        say(f"error: {problem}")

    def _learn(self) -> set[Path]:
        """Learn from all pictures that are to be learned from; return those that fail.

        Those that exist in OUT count as well, so that all are changed alike.
        """
        train, paths = self._job.train, [*self._targets]
        if train is not None:
            paths = [train] if train.is_file() else self._find(train)
        self._bar = ProgressBar("learn", len(paths), "pictures", self._job.quiet)
        failed = set()

        def read(path: Path) -> tuple[Path, list[Page], list[str]]:
            pages: list[Page] = []
            with _problems() as problems:
                pages = read_picture(path, self._job.max_pixels).pages
            return path, pages, problems

        with closing(map_bounded(read, paths, self._n_threads)) as results:
            for path, pages, problems in results:
                with _problems() as others:
                    for page in pages:
                        self._changer.learn(page)
                self._bar.add(1, sum(page.colors.nbytes for page in pages))
                for problem in problems + others:
                    failed.add(path)
                    self._note(f"{path}: {problem}")
        self._bar.clear()
        if len(failed) == len(paths) and (self._is_batch or train is not None):
            raise FileError("no picture could be learned from, so nothing is written")
        return failed

    def _change_all(self, paths: list[Path]) -> list[Example]:
        """Change all pictures side by side, and write one after the other."""
        bar = self._bar = ProgressBar(self._job.command, len(paths), "pictures", self._job.quiet)
        some = set(paths[: 4 * N_EXAMPLES])  # not all have the shape of the first
        examples = []
        with closing(map_bounded(self._change, paths, self._n_threads)) as results:
            for done in results:
                end_if_received()  # no file is written after a signal
                try:
                    if done.error is not None:
                        raise FileError(done.error)
                    write_file(self._targets[done.path], done.data, self._job.overwrite)
                    self._n_written += 1
                    examples += [done.example] if done.example and done.path in some else []
                except FileError as error:
                    if getattr(error.__cause__, "errno", None) in _OF_THE_DISK:
                        raise
                    self._note(str(error))
                bar.add(1, done.n_bytes)
        bar.clear()
        return examples

    def _change(self, path: Path) -> _Done:
        """Return a picture with other pixels."""
        done = _Done(path)
        with _problems() as problems:
            picture = read_picture(path, self._job.max_pixels)
            target = self._targets[path]
            is_converted = not self._is_batch and target == self._job.target
            format_ = FORMATS[target.suffix.lower()] if is_converted else picture.format
            changed = [self._changer(page) for page in picture.pages]
            before, after = picture.pages[0].colors, changed[0].colors
            example = None if self._job.plot is None else (before, after)
            n_bytes = sum(page.colors.nbytes for page in picture.pages)
            done = _Done(path, encode(picture, changed, format_), n_bytes, example)
        return done._replace(error=f"{path}: {problems[0]}") if problems else done


@contextmanager
def _problems() -> Iterator[list[str]]:
    """Yield a list for what goes wrong with one picture, which ends no run."""
    found: list[str] = []
    try:
        yield found
    except PictureError as error:
        found.append(str(error))
    except MemoryError:
        found.append("it needs more memory than there is")
    except Exception as error:
        found.append(f"it cannot be processed ({type(error).__name__}: {error})")


def find_targets(job: FileJob, paths: Sequence[Path]) -> dict[Path, Path]:
    """Return where each file of IN goes; refuse two of one name."""
    is_folder = len(job.sources) == 1 and job.sources[0].is_dir()
    if not is_folder and len(paths) == 1 and not job.target.is_dir():
        return {paths[0]: job.target}
    names = [path.relative_to(job.sources[0]) if is_folder else path.name for path in paths]
    repeated = sorted(str(name) for name, n in Counter(names).items() if n > 1)
    if repeated:
        raise UsageError(f"several inputs have the name {repeated[0]}; use a folder for each")
    return {path: job.target / name for path, name in zip(paths, names, strict=True)}


def without_existing(job: FileJob, targets: dict[Path, Path]) -> tuple[list[Path], int]:
    """Return what is to be written, and how many exist with --skip-existing."""
    check_parent(job.target)
    existing = {path for path, target in targets.items() if os.path.lexists(target)}
    if job.skip_existing:
        return [path for path in targets if path not in existing], len(existing)
    for path in targets:
        if path in existing:
            check_file_target(targets[path], job.overwrite)
    return [*targets], 0


def map_bounded(
    function: Callable[[_Item], _Result], items: Sequence[_Item], n_threads: int
) -> Generator[_Result, None, None]:
    """Like the builtin map, in threads, with few results waiting at a time.

    After an error or a signal no further item is begun.
    """
    if n_threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(n_threads)
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == 2 * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def summarize(n_written: int, failed: list[str], n_others: int = 0, n_existing: int = 0) -> None:
    """Report how many files were written, and name again those that were not."""
    existing = f", {n_existing} skipped (exist)" if n_existing else ""
    others = f", {n_others} skipped (no pictures)" if n_others else ""
    say(f"{n_written} written, {len(failed)} failed{existing}{others}")
    for problem in failed:
        say(f"failed: {problem}")


def stack_examples(examples: list[Example]) -> Example:
    """Return the first pictures of the first one's shape and type, as arrays before and after."""
    kinds = [[(part.shape, part.dtype) for part in pair] for pair in examples]
    alike = [pair for pair, kind in zip(examples, kinds, strict=True) if kind == kinds[0]]
    before, after = zip(*alike[:N_EXAMPLES], strict=True)
    return np.stack(before), np.stack(after)


def _check_apart(source: Path, target: Path) -> None:
    """Refuse a folder as both IN and OUT, and one inside the other."""
    inside, outside = source.resolve(), target.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        what = f"IN is {source} and OUT is {target}, the same folder or one inside the other"
        raise UsageError(f"{what}, but expected two separate folders")
