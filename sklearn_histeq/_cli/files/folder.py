"""Pictures, alone or in folders: found, read, transformed and written with the same names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from sklearn_histeq._cli.atomic_write import AtomicFile, atomic_folder, write_file
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.job import FileJob, check
from sklearn_histeq._cli.files.pictures import (
    FORMATS,
    Picture,
    encode,
    map_colours,
    read_picture,
    rescale,
)
from sklearn_histeq._cli.progress import ProgressBar

N_EXAMPLES = 4

Example = tuple[NDArray[Any], NDArray[Any]]  # colours before and after


@dataclass
class Done:
    """One picture that was done, or what was wrong with it."""

    path: Path
    n_bytes: int = 0
    example: Example | None = None
    error: str | None = None


class Changer:
    """Changes the colours of pictures as a job asks for; learns first where it says so.

    Gray has one channel and its own value, so that `color="value"` is meant for the coloured ones
    of a folder. A reference is brought to the depth of a picture.
    """

    def __init__(self, job: FileJob, reference: NDArray[Any] | None, n_jobs: Any) -> None:
        self._job, self._reference = job, reference
        self._params: dict[str, Any] = {"channel_axis": -1, "n_jobs": n_jobs}
        self._params["dtype"] = job.params.get("dtype", "input")
        self._learned: Any = None
        self._dtype: np.dtype[Any] | None = None

    def check(self) -> None:
        """Check the parameters, before a picture is read."""
        check(self._new(3, n_jobs=self._job.params.get("n_jobs")), (1, 2, 2, 3), np.dtype("u1"))

    def learn(self, colours: NDArray[Any]) -> None:
        """Learn from one more picture."""
        if self._learned is None:
            self._learned, self._dtype = self._new(colours.ndim), colours.dtype
        self._check_learned(colours)
        self._call(self._learned.partial_fit, colours)

    def __call__(self, colours: NDArray[Any]) -> NDArray[Any]:
        """Return the changed colours."""
        estimator = self._learned
        if estimator is None:
            estimator = self._new(colours.ndim)
            if self._reference is not None:
                estimator.set_params(reference=rescale(self._reference, colours.dtype))
        else:
            self._check_learned(colours)
        changed: NDArray[Any] = self._call(estimator.transform, colours)[0]
        return changed

    def _new(self, n_dimensions: int, **params: Any) -> Any:
        """Return an estimator for gray pictures or coloured ones."""
        if n_dimensions == 2 and self._job.params.get("color") == "value":
            params["color"] = "channels"
        return self._job.estimator(**(self._params | params))

    def _check_learned(self, colours: NDArray[Any]) -> None:
        """Refuse another depth than was learned from: its levels mean something else."""
        if colours.dtype != self._dtype:
            raise PictureError(f"its type is {colours.dtype}, but {self._dtype} was learned from")

    @staticmethod
    def _call(method: Callable[[NDArray[Any]], Any], colours: NDArray[Any]) -> Any:
        """Call a method with one image, and tell what it does not take."""
        try:
            return method(colours[np.newaxis])
        except ValueError as error:
            raise PictureError(str(error).replace(" in image(s) 0", "")) from error


class Pictures:
    """A run over the pictures of a job."""

    def __init__(self, job: FileJob, reference: NDArray[Any] | None, say: Callable[..., None]):
        self._job, self._say = job, say
        self._is_folder = job.source.is_dir()
        self._problems: list[str] = []
        self._paths = self._find(job.source)
        n_jobs = job.params.get("n_jobs")
        self._changer = Changer(job, reference, None if self._is_folder else n_jobs)
        self._changer.check()
        self._n_threads = min(effective_n_jobs(n_jobs), len(self._paths)) if self._is_folder else 1

    def run(self) -> tuple[int, list[Example]]:
        """Do all pictures; return the exit status and some examples."""
        job = self._job
        if not self._is_folder:
            return self._run_one()
        names = {path.relative_to(job.source) for path in self._paths}
        _check_apart(job.source, job.target)
        with atomic_folder(job.target, job.overwrite, names) as part:
            self._learn()

            def put(path: Path, data: bytes) -> None:
                name = path.relative_to(job.source)
                write_file(part / name, data, job.target / name)

            examples = self._change_all(put)
            if not examples:
                raise FileError(f"{job.source}: no picture could be done, so nothing is written")
        return int(bool(self._problems)), [pair for pair in examples if pair is not None]

    def _run_one(self) -> tuple[int, list[Example]]:
        """Do the one picture; what is wrong with it is wrong with the run."""
        job = self._job
        with AtomicFile(job.target, job.overwrite) as out:
            self._learn()
            try:
                format_ = FORMATS[job.target.suffix.lower()]
                before, after, data = self._change(job.source, lambda picture: format_)
            except PictureError as error:
                raise FileError(f"{job.source}: {error}") from error
            out.write(data)
        return 0, [(before, after)]

    # Finding -------------------------------------------------------------------------------------

    def _find(self, source: Path) -> list[Path]:
        """Return a picture, or those of a folder and its subfolders in order."""
        if not source.is_dir():
            source.open("rb").close()  # or the system says why not
            return [source]
        found = []
        for folder, subfolders, files in os.walk(source, onerror=self._note_error):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
        pictures = [path for path in found if path.suffix.lower() in FORMATS]
        if not pictures:
            expected = ", ".join(FORMATS)
            raise FileError(
                f"{source}: no pictures in this folder, but expected some of {expected}"
            )
        return pictures

    def _note_error(self, error: OSError) -> None:
        """Note a folder that cannot be read."""
        self._note(f"{error.filename}: {error.strerror}")

    def _note(self, problem: str, progress: ProgressBar | None = None) -> None:
        """Tell a problem that does not end the run."""
        self._problems.append(problem)
        if progress is not None:
            progress.clear()
        self._say(problem)

    # Learning ------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """Learn from all pictures that are to be learned from."""
        if not self._job.learns:
            return
        own = self._job.train is None
        paths = self._paths if self._job.train is None else self._find(self._job.train)
        progress = ProgressBar("learn", len(paths), "pictures", self._job.quiet)
        failed = set()
        for path in paths:
            try:
                pages = read_picture(path).pages
                for page in pages:
                    self._changer.learn(page.colours)
                progress.add(1, sum(page.colours.nbytes for page in pages))
            except PictureError as error:
                failed.add(path)
                self._note(f"{path}: {error}", progress)
        progress.clear()
        if len(failed) == len(paths):
            raise FileError("no picture could be learned from, so nothing is written")
        if own:
            self._paths = [path for path in paths if path not in failed]

    # Changing ------------------------------------------------------------------------------------

    def _change_all(self, put: Callable[[Path, bytes], None]) -> list[Example | None]:
        """Change all pictures, in threads; return an entry for each that was done."""
        progress = ProgressBar(self._job.command, len(self._paths), "pictures", self._job.quiet)
        examples: list[Example | None] = []

        def change(path: Path) -> Done:
            try:
                before, after, data = self._change(path, lambda picture: picture.format)
            except PictureError as error:
                return Done(path, error=f"{path}: {error}")
            put(path, data)
            kept = self._job.plot is not None and path in some
            return Done(path, before.nbytes, (before, after) if kept else None)

        some = set(self._paths[: 4 * N_EXAMPLES])  # not all have the first one's shape
        for done in _map(change, self._paths, self._n_threads):
            progress.add(1, done.n_bytes)
            if done.error is None:
                examples.append(done.example)
            else:
                self._note(done.error, progress)
        progress.clear()
        return examples

    def _change(
        self, path: Path, format_of: Callable[[Picture], str]
    ) -> tuple[NDArray[Any], NDArray[Any], bytes]:
        """Return the colours of a picture before and after, and the bytes of its file."""
        picture = read_picture(path)
        changed = map_colours(picture, self._changer)
        data = encode(changed, format_of(picture))
        return picture.pages[0].colours, changed.pages[0].colours, data


def _map(function: Callable[[Path], Done], paths: list[Path], n_threads: int) -> Iterator[Done]:
    """Like the builtin map, in threads; after an error or Ctrl-C no further picture is begun."""
    if n_threads == 1:
        yield from map(function, paths)
        return
    pool = ThreadPoolExecutor(n_threads)
    try:
        yield from pool.map(function, paths)
    finally:
        pool.shutdown(cancel_futures=True)


def _check_apart(source: Path, target: Path) -> None:
    """Refuse a folder as both IN and OUT, and one inside the other."""
    inside, outside = source.resolve(), target.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise UsageError(
            f"IN is {source} and OUT is {target}, one inside the other, but expected two folders"
            " apart"
        )
