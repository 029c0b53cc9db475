"""Arrays in .npy files, read by memory map and written block by block.

The memory does not depend on the number of images. One block of the file is mapped at a time, so
that a limited address space (`ulimit -v`) suffices too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from sklearn_histeq._cli.atomic_write import atomic_file
from sklearn_histeq._cli.errors import FileError
from sklearn_histeq._cli.files.job import (
    Example,
    FileJob,
    check_parameters,
    in_options,
    warn_of_single,
)
from sklearn_histeq._cli.progress import ProgressBar

# Size of a block in the widest type that is written, of 8 bytes. Larger blocks are no faster, and
# the next block reuses memory of this size, which larger sizes return to the system.
BLOCK_BYTES = 2**24
_TWO = npy_format.read_array_header_2_0  # also of version 3
_READERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): _TWO, (3, 0): _TWO}


class NpyFile(NamedTuple):
    """An array in a .npy file, of which blocks of images are mapped into memory."""

    path: Path
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    offset: int  # of its first byte

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """Map some images."""
        if self.order == "F":  # an image's pixels lie all over the file
            return self.whole()[start:stop]
        offset = self.offset + start * self.image_bytes
        return np.memmap(self.path, self.dtype, "r", offset, (stop - start, *self.shape[1:]))

    def whole(self) -> NDArray[Any]:
        """Map all images."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)


def open_npy(path: Path, n_dimensions: int = 2) -> NpyFile:
    """Return what a file has; nothing in it is executed, and no pixel is read."""
    with path.open("rb") as file:
        try:
            shape, is_fortran, dtype = _READERS[npy_format.read_magic(file)](file)
        except Exception as error:  # a damaged header is read as Python, and raises what it likes
            raise FileError(f"{path} is damaged, or not an .npy file") from error
        found = NpyFile(path, shape, "F" if is_fortran else "C", dtype, file.tell())
        n_bytes = os.fstat(file.fileno()).st_size
    what = ""
    if dtype.hasobject:
        what = "contains Python objects, which could run code and are never loaded; save numbers"
    elif dtype.kind not in "biuf":
        what = f"has dtype {dtype}, but expected real numbers"
    elif len(shape) < n_dimensions or any(n < 1 for n in shape):
        what = f"has shape {shape}, but expected images (n, h, w) or (n, c, h, w), or rows (n, m)"
    elif n_bytes < (expected := found.offset + shape[0] * found.image_bytes):
        what = f"is cut short: it has {n_bytes} bytes, but its header promises {expected}; copy it"
    if what:
        raise FileError(f"{path} {what}")
    return found


def run_array(job: FileJob, reference: NDArray[Any] | None, n_examples: int) -> list[Example]:
    """Read an .npy file, transform its images, and write another; return the first images."""
    params = {} if reference is None else {"reference": reference}
    source = open_npy(job.sources[0])
    check_parameters(job.estimator(**params), source.shape, source.dtype)
    some = range(min(n_examples, source.shape[0]))
    before = [np.array(source.block(k, k + 1)[0]) for k in some]
    with atomic_file(job.target, job.overwrite) as out:
        estimator = job.estimator(**params)
        if job.learns:
            _learn(estimator, source, job)
        for start, block in _blocks(job.command, source, job):
            changed = _call(estimator.transform, source, start, block)
            if start == 0:
                about = npy_format.header_data_from_array_1_0(changed)
                about["shape"] = (source.shape[0], *changed.shape[1:])
                npy_format.write_array_header_1_0(out, about)
            out.write(changed)
    written = open_npy(job.target)
    return [(old, np.array(written.block(k, k + 1)[0])) for k, old in enumerate(before)]


def _learn(estimator: Any, source: NpyFile, job: FileJob) -> None:
    """Learn from TRAIN, or from the images that will be changed, block by block if it is exact."""
    if job.train is not None:
        source = open_npy(job.train)
        check_parameters(job.estimator(), source.shape, source.dtype)
    elif source.shape[0] == 1:
        warn_of_single(job)
    if source.dtype.kind == "f":
        # batches of floats would be counted in different bins; `fit` reads the map as a whole
        _call(estimator.fit, source, 0, source.whole())
        return
    for start, block in _blocks("learn", source, job):
        _call(estimator.partial_fit, source, start, block)


def _blocks(verb: str, source: NpyFile, job: FileJob) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the number of the first image and the images of blocks of bounded size."""
    n_images = source.shape[0]
    n_together = max(1, BLOCK_BYTES // (math.prod(source.shape[1:]) * 8))
    progress = ProgressBar(verb, n_images, "images", job.quiet)
    for start in range(0, n_images, n_together):
        stop = min(start + n_together, n_images)
        yield start, source.block(start, stop)
        progress.add(stop - start, (stop - start) * source.image_bytes)
    progress.clear()


def _call(method: Any, source: NpyFile, start: int, block: NDArray[Any]) -> Any:
    """Call a method with images, and report what it does not take, by the numbers in the file."""
    try:
        return method(block)
    except ValueError as error:
        raise FileError(f"{source.path}: {in_options(error, start)}") from error
