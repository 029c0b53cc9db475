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

from sklearn_histeq._cli.atomic_write import WholeFile, whole_folder, write_file
from sklearn_histeq._cli.errors import FileError, PictureError, UsageError
from sklearn_histeq._cli.files.pictures import (
    FORMATS,
    Picture,
    encode,
    map_colours,
    read_picture,
    rescale,
)
from sklearn_histeq._cli.files.progress import Progress
from sklearn_histeq._cli.files.task import Task, check

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
    """Changes the colours of pictures as a task asks for; learns first where it says so.

    Gray has one channel and its own value, so that `color="value"` is meant for the coloured ones
    of a folder. A reference is brought to the depth of a picture.
    """

    def __init__(self, task: Task, reference: NDArray[Any] | None, n_jobs: Any) -> None:
        self._task, self._reference = task, reference
        self._params: dict[str, Any] = {"channel_axis": -1, "n_jobs": n_jobs}
        self._params["dtype"] = task.params.get("dtype", "input")
        self._learned: Any = None
        self._dtype: np.dtype[Any] | None = None

    def check(self) -> None:
        """Check the parameters, before a picture is read."""
        check(self._new(3, n_jobs=self._task.params.get("n_jobs")), (1, 2, 2, 3), np.dtype("u1"))

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
        if n_dimensions == 2 and self._task.params.get("color") == "value":
            params["color"] = "channels"
        return self._task.estimator(**(self._params | params))

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
    """A run over the pictures of a task."""

    def __init__(self, task: Task, reference: NDArray[Any] | None, say: Callable[..., None]):
        self._task, self._say = task, say
        self._is_folder = task.source.is_dir()
        self._problems: list[str] = []
        self._paths = self._find(task.source)
        n_jobs = task.params.get("n_jobs")
        self._changer = Changer(task, reference, None if self._is_folder else n_jobs)
        self._changer.check()
        self._n_threads = min(effective_n_jobs(n_jobs), len(self._paths)) if self._is_folder else 1

    def run(self) -> tuple[int, list[Example]]:
        """Do all pictures; return the exit status and some examples."""
        task = self._task
        if not self._is_folder:
            return self._run_one()
        names = {path.relative_to(task.source) for path in self._paths}
        _check_apart(task.source, task.target)
        with whole_folder(task.target, task.overwrite, names) as part:
            self._learn()

            def put(path: Path, data: bytes) -> None:
                name = path.relative_to(task.source)
                write_file(part / name, data, task.target / name)

            examples = self._change_all(put)
            if not examples:
                raise FileError(f"{task.source}: no picture could be done, so nothing is written")
        return int(bool(self._problems)), [pair for pair in examples if pair is not None]

    def _run_one(self) -> tuple[int, list[Example]]:
        """Do the one picture; what is wrong with it is wrong with the run."""
        task = self._task
        with WholeFile(task.target, task.overwrite) as out:
            self._learn()
            try:
                format_ = FORMATS[task.target.suffix.lower()]
                before, after, data = self._change(task.source, lambda picture: format_)
            except PictureError as error:
                raise FileError(f"{task.source}: {error}") from error
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

    def _note(self, problem: str, progress: Progress | None = None) -> None:
        """Tell a problem that does not end the run."""
        self._problems.append(problem)
        if progress is not None:
            progress.clear()
        self._say(problem)

    # Learning ------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """Learn from all pictures that are to be learned from."""
        if not self._task.learns:
            return
        own = self._task.train is None
        paths = self._paths if self._task.train is None else self._find(self._task.train)
        progress = Progress("learn", len(paths), "pictures", self._task.quiet)
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
        progress = Progress(self._task.command, len(self._paths), "pictures", self._task.quiet)
        examples: list[Example | None] = []

        def change(path: Path) -> Done:
            try:
                before, after, data = self._change(path, lambda picture: picture.format)
            except PictureError as error:
                return Done(path, error=f"{path}: {error}")
            put(path, data)
            kept = self._task.plot is not None and path in some
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
