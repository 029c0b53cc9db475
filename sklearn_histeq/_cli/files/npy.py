"""Arrays in .npy files, read by memory map and written block by block.

The memory does not depend on the number of images. One block of the file is mapped at a time, so
that a limited address space (`ulimit -v`) suffices too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from sklearn_histeq._cli.atomic_write import AtomicFile
from sklearn_histeq._cli.errors import FileError
from sklearn_histeq._cli.files.job import FileJob, check_parameters, in_options, warn_of_single
from sklearn_histeq._cli.progress import ProgressBar

# Size of a block as it is read, or as it is written if that is more. Larger blocks are no faster,
# and the next block reuses memory of this size, which larger sizes return to the system.
BLOCK_BYTES = 2**24
_WIDEST = 8  # largest number of bytes per pixel of the output


class NpyFile:
    """An array in a .npy file, of which blocks of images are mapped into memory."""

    def __init__(self, path: Path, n_dimensions: int = 2) -> None:
        self.path = path
        self._file = path.open("rb")
        try:
            self.shape, self._is_fortran, self.dtype = self._read_header()
            self._offset = self._file.tell()
            self._check(n_dimensions)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> NpyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return self._n_bytes(self.shape[1:])

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """Map some images."""
        shape = (stop - start, *self.shape[1:])
        if self._is_fortran:  # an image's pixels lie all over the file
            return self.whole()[start:stop]
        offset = self._offset + start * self.image_bytes
        return np.memmap(self._file, self.dtype, "r", offset, shape)

    def whole(self) -> NDArray[Any]:
        """Map all images."""
        order: Literal["F", "C"] = "F" if self._is_fortran else "C"
        return np.memmap(self._file, self.dtype, "r", self._offset, self.shape, order)

    def _read_header(self) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        """Return shape, order and dtype; nothing in the file is executed."""
        try:
            version = npy_format.read_magic(self._file)
            if version == (1, 0):
                return npy_format.read_array_header_1_0(self._file)
            if version in ((2, 0), (3, 0)):
                return npy_format.read_array_header_2_0(self._file)
            raise ValueError("numpy.load knows no other version")
        except Exception as error:  # a damaged header is read as Python, and raises what it likes
            raise FileError(f"{self.path} is damaged, or not an .npy file") from error

    def _check(self, n_dimensions: int) -> None:
        """Refuse what holds no images, or not all of them."""
        what = ""
        expected, found = self._offset + self._n_bytes(self.shape), self.path.stat().st_size
        if self.dtype.hasobject:
            what = "contains Python objects, which could run code and are never loaded; save plain"
            what += " numbers"
        elif self.dtype.kind not in "biuf":
            what = f"has dtype {self.dtype}, but expected real numbers"
        elif len(self.shape) < n_dimensions or any(n < 1 for n in self.shape):
            what = f"has shape {self.shape}, but expected images: (n, h, w), (n, c, h, w),"
            what += " (n, h, w, c) or rows (n, n_pixels), all of them at least 1"
        elif found < expected:
            what = f"is cut short: it has {found} bytes, but its header promises {expected}; copy"
            what += " it again"
        if what:
            raise FileError(f"{self.path} {what}")

    def _n_bytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of an array of a shape."""
        return int(np.prod(shape, dtype=object)) * self.dtype.itemsize


def run_array(
    job: FileJob, reference: NDArray[Any] | None, n_examples: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read an .npy file, transform its images, and write another.

    Returns the first images before and after.
    """
    params = {} if reference is None else {"reference": reference}
    with NpyFile(job.sources[0]) as source:
        check_parameters(job.estimator(**params), source.shape, source.dtype)
        if job.learns and job.train is None and len(source) == 1:
            warn_of_single(job)
        with AtomicFile(job.target, job.overwrite) as out:
            estimator = job.estimator(**params)
            if job.learns:
                _learn(estimator, source, job)
            _transform(estimator, source, out, job)
        before = np.array(source.block(0, min(n_examples, len(source))) if n_examples else [])
    with NpyFile(job.target) as written:
        after = np.array(written.block(0, len(before)) if n_examples else [])
    return before, after


def _learn(estimator: Any, source: NpyFile, job: FileJob) -> None:
    """Learn from the images of TRAIN, or from those that will be changed."""
    if job.train is None:
        _fit(estimator, source, job)
        return
    with NpyFile(job.train) as train:
        check_parameters(job.estimator(), train.shape, train.dtype)
        _fit(estimator, train, job)


def _fit(estimator: Any, source: NpyFile, job: FileJob) -> None:
    """Learn from all images of a file, block by block where that is exact."""
    if source.dtype.kind == "f":
        # batches of floats would be counted in different bins; `fit` reads the map as a whole
        with _errors_of(source.path, 0):
            estimator.fit(source.whole())
        return
    progress = ProgressBar("learn", len(source), "images", job.quiet)
    for start, stop in _parts(source):
        with _errors_of(source.path, start):
            estimator.partial_fit(source.block(start, stop))
        progress.add(stop - start, (stop - start) * source.image_bytes)
    progress.clear()


def _transform(estimator: Any, source: NpyFile, out: AtomicFile, job: FileJob) -> None:
    """Write the transformed images after a header, which depends on the first block."""
    progress = ProgressBar(job.command, len(source), "images", job.quiet)
    for start, stop in _parts(source):
        with _errors_of(source.path, start):
            block = estimator.transform(source.block(start, stop))
        if start == 0:
            out.write(_header(block.dtype, (len(source), *block.shape[1:])))
        out.write(block)
        progress.add(stop - start, (stop - start) * source.image_bytes)
    progress.clear()


def _parts(source: NpyFile) -> Iterator[tuple[int, int]]:
    """Cut images into blocks of bounded size."""
    image_bytes = max(source.image_bytes, source.image_bytes // source.dtype.itemsize * _WIDEST)
    n_images = max(1, BLOCK_BYTES // image_bytes)
    for start in range(0, len(source), n_images):
        yield start, min(start + n_images, len(source))


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the header that np.save would write."""
    file = io.BytesIO()
    about = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(file, about)
    return file.getvalue()


@contextmanager
def _errors_of(path: Path, start: int) -> Iterator[None]:
    """Report what an estimator does not take, with images numbered from the first of the file."""
    try:
        yield
    except ValueError as error:
        raise FileError(f"{path}: {in_options(error, start)}") from error
