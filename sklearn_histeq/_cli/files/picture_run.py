"""Runs over pictures: one, several, or those of a folder with their names and subfolders."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from sklearn_histeq._cli.atomic_write import (
    AtomicFile,
    atomic_folder,
    check_file_target,
    output_folder,
    write_file,
)
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.changer import Changer
from sklearn_histeq._cli.files.formats import FORMATS, encode, read_picture
from sklearn_histeq._cli.files.job import FileJob
from sklearn_histeq._cli.files.picture import Page
from sklearn_histeq._cli.progress import ProgressBar, say

N_EXAMPLES = 4

Example = tuple[NDArray[Any], NDArray[Any]]  # colors before and after
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass
class Done:
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
        self._is_folder = len(job.sources) == 1 and job.sources[0].is_dir()
        self._is_batch = self._is_folder or len(job.sources) > 1
        self._failed: list[str] = []
        self._n_skipped = 0
        self._bar: ProgressBar | None = None
        n_jobs = job.params.get("n_jobs")
        self._changer = Changer(job, reference, None if self._is_batch else n_jobs)
        self._changer.check()
        self._paths = self._find(job.sources[0]) if self._is_folder else list(job.sources)
        self._targets = dict(zip(self._paths, self._find_targets(), strict=True))
        self._n_threads = 1
        if self._is_batch:
            self._n_threads = min(effective_n_jobs(n_jobs), len(self._paths))

    @property
    def n_pictures(self) -> int:
        """Number of pictures."""
        return len(self._paths)

    def run(self) -> tuple[int, list[Example]]:
        """Process all pictures; return the exit status and some examples."""
        self._check_plot()
        if not self._is_batch:
            return self._run_one()
        with ExitStack() as stack:
            put = self._open_folder(stack) if self._is_folder else self._open_files(stack)
            self._learn()
            done = self._change_all(put)
            n_written = sum(one.error is None for one in done)
            if not n_written:
                self._summarize(0)
                raise FileError("no picture could be processed, so nothing is written")
        self._summarize(n_written)
        return int(bool(self._failed)), [one.example for one in done if one.example is not None]

    def _run_one(self) -> tuple[int, list[Example]]:
        """Process the only picture; what is wrong with it is wrong with the run."""
        ((path, target),) = self._targets.items()
        path.open("rb").close()  # or the system says why not
        with AtomicFile(target, self._job.overwrite) as out:
            self._learn()
            try:
                before, after, data = self._change(path)
            except PictureError as error:
                raise FileError(f"{path}: {error}") from error
            out.write(data)
        return 0, [(before, after)]

    # Names ---------------------------------------------------------------------------------------

    def _find(self, source: Path) -> list[Path]:
        """Return the pictures of a folder and its subfolders in order.

        Hidden files and folders are left out, and links to folders are not followed.
        """
        found = []
        for folder, subfolders, files in os.walk(source, onerror=self._note_folder):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
        pictures = [path for path in found if _is_picture(path)]
        self._n_skipped = len(found) - len(pictures)
        if not pictures:
            expected = ", ".join(FORMATS)
            raise FileError(
                f"{source}: no pictures in this folder, but expected some of {expected}"
            )
        return pictures

    def _note_folder(self, error: OSError) -> None:
        """Note a folder that cannot be read."""
        self._note(f"{error.filename}: {error.strerror}")

    def _find_targets(self) -> list[Path]:
        """Return where each picture goes."""
        job = self._job
        if self._is_folder:
            _check_apart(job.sources[0], job.target)
            return [job.target / path.relative_to(job.sources[0]) for path in self._paths]
        if len(job.sources) == 1:
            return [job.target / job.sources[0].name if job.target.is_dir() else job.target]
        check_unique([path.name for path in self._paths])
        return [job.target / path.name for path in self._paths]

    def _check_plot(self) -> None:
        """Refuse to draw over a picture that is read or written."""
        if self._job.plot is None:
            return
        plot = os.path.realpath(self._job.plot)
        for path in [*self._targets, *self._targets.values()]:
            if os.path.realpath(path) == plot:
                raise UsageError(
                    f"--plot {self._job.plot} is read or written as a picture; name another file"
                )

    # Writing -------------------------------------------------------------------------------------

    def _open_folder(self, stack: ExitStack) -> Callable[[Path, bytes], None]:
        """Return a function that writes into the folder that appears at the end."""
        source, target = self._job.sources[0], self._job.target
        names = {path.relative_to(source) for path in self._paths}
        part = stack.enter_context(atomic_folder(target, self._job.overwrite, names))

        def put(path: Path, data: bytes) -> None:
            write_file(part / path.relative_to(source), data, self._targets[path])

        return put

    def _open_files(self, stack: ExitStack) -> Callable[[Path, bytes], None]:
        """Return a function that writes files one by one, into a folder that may exist."""
        stack.enter_context(output_folder(self._job.target))
        for path in self._targets.values():
            check_file_target(path, self._job.overwrite)

        def put(path: Path, data: bytes) -> None:
            with AtomicFile(self._targets[path], self._job.overwrite) as file:
                file.write(data)

        return put

    # Messages ------------------------------------------------------------------------------------

    def _note(self, problem: str) -> None:
        """Report a problem that does not end the run."""
        self._failed.append(problem)
        if self._bar is not None:
            self._bar.clear()
        say(f"error: {problem}")

    def _summarize(self, n_written: int) -> None:
        """Report how many pictures were written, and name again those that were not."""
        if not self._job.quiet:
            summarize(n_written, self._failed, self._n_skipped)

    # Learning ------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """Learn from all pictures that are to be learned from."""
        if not self._job.learns:
            return
        train = self._job.train
        paths = self._paths if train is None else [train] if train.is_file() else self._find(train)
        self._bar = ProgressBar("learn", len(paths), "pictures", self._job.quiet)
        failed = set()

        def read(path: Path) -> tuple[Path, list[Page], str]:
            try:
                return path, read_picture(path).pages, ""
            except PictureError as error:
                return path, [], str(error)

        with closing(map_bounded(read, paths, self._n_threads)) as results:
            for path, pages, problem in results:
                try:
                    for page in pages:
                        self._changer.learn(page)
                    self._bar.add(1, sum(page.colors.nbytes for page in pages))
                except PictureError as error:
                    problem = str(error)
                if problem:
                    failed.add(path)
                    self._note_or_raise(path, problem)
        self._bar.clear()
        if len(failed) == len(paths):
            raise FileError("no picture could be learned from, so nothing is written")
        self._paths = [path for path in self._paths if path not in failed]

    def _note_or_raise(self, path: Path, problem: str) -> None:
        """Note a picture that cannot be learned from; if it is the only one, the run ends."""
        if not self._is_batch and self._job.train is None:
            raise FileError(f"{path}: {problem}")
        self._note(f"{path}: {problem}")

    # Changing ------------------------------------------------------------------------------------

    def _change_all(self, put: Callable[[Path, bytes], None]) -> list[Done]:
        """Change all pictures side by side."""
        self._bar = ProgressBar(self._job.command, len(self._paths), "pictures", self._job.quiet)
        some = set(self._paths[: 4 * N_EXAMPLES])  # not all have the shape of the first

        def change(path: Path) -> Done:
            try:
                before, after, data = self._change(path)
            except PictureError as error:
                return Done(path, error=f"{path}: {error}")
            is_example = self._job.plot is not None and path in some
            return Done(path, data, before.nbytes, (before, after) if is_example else None)

        finished = []
        with closing(map_bounded(change, self._paths, self._n_threads)) as results:
            for done in results:
                if done.error is None:
                    put(done.path, done.data)  # here, so that no thread writes after a signal
                else:
                    self._note(done.error)
                finished.append(replace(done, data=b""))
                self._bar.add(1, done.n_bytes)
        self._bar.clear()
        return finished

    def _change(self, path: Path) -> tuple[NDArray[Any], NDArray[Any], bytes]:
        """Return the colors of a picture before and after, and the bytes of its file."""
        picture = read_picture(path)
        changed = [self._changer(page) for page in picture.pages]
        format_ = picture.format
        if not self._is_batch:
            format_ = FORMATS[self._targets[path].suffix.lower()]
        return picture.pages[0].colors, changed[0].colors, encode(picture, changed, format_)


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


def check_unique(names: list[str]) -> None:
    """Refuse inputs that would have the same name in OUT."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"several inputs have the name {repeated[0]}; use a folder for each")


def summarize(n_written: int, failed: list[str], n_skipped: int = 0) -> None:
    """Report how many files were written, and name again those that were not."""
    skipped = f", {n_skipped} skipped (no pictures)" if n_skipped else ""
    say(f"{n_written} written, {len(failed)} failed{skipped}")
    for problem in failed:
        say(f"failed: {problem}")


def stack_examples(examples: list[Example]) -> Example:
    """Return the first pictures of the first one's shape and type, as arrays before and after."""
    kinds = [[(part.shape, part.dtype) for part in pair] for pair in examples]
    alike = [pair for pair, kind in zip(examples, kinds, strict=True) if kind == kinds[0]]
    before, after = zip(*alike[:N_EXAMPLES], strict=True)
    return np.stack(before), np.stack(after)


def _is_picture(path: Path) -> bool:
    """Tell whether a file is to be read; a link that leads nowhere is, to be reported."""
    return path.suffix.lower() in FORMATS and (path.is_file() or not path.exists())


def _check_apart(source: Path, target: Path) -> None:
    """Refuse a folder as both IN and OUT, and one inside the other."""
    inside, outside = source.resolve(), target.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise UsageError(
            f"IN is {source} and OUT is {target}, the same folder or one inside the other, but"
            " expected two separate folders"
        )
