"""The demo's images: from scikit-image, an .npz file, or a folder of pictures.

All of them become 8-bit gray images of one size, as a camera would deliver them, because two of the
package's conventions need 8 bits. Remarks say what was changed or left out, and the demo prints
them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_X_y

from sklearn_histeq._cli.demo.protocols import Part
from sklearn_histeq._cli.errors import FileError

SUFFIXES = (".pgm", ".png", ".jpg", ".jpeg")
# These limits keep unknown data within minutes; the usual sets of faces are smaller.
MAX_SIDE = 48
MAX_PEOPLE = 100
MAX_IMAGES = 100


def bundled_faces() -> Part:
    """Return the 100 faces (label 1) and 100 other things (0) that scikit-image contains."""
    from skimage.data import lfw_subset

    images = np.rint(lfw_subset() * 255).astype(np.uint8)[:, np.newaxis]  # (200, 1, 25, 25)
    return Part(images, np.repeat([1, 0], 100))


def read_faces(
    path: Path, status: Callable[[str], None] = lambda text: None
) -> tuple[Part, list[str]]:
    """Read the user's own faces.

    Parameters
    ----------
    path : Path
        An .npz file with X and y, or a folder with one subfolder of pictures per person.
    status : callable, default=does nothing
        Called with a short text that says how far the reading is.

    Returns
    -------
    faces : Part
        At least two people, each with at least two images.
    remarks : list of str
        Sentences that say what was done to the images.
    """
    if not path.exists():
        raise FileError(f"{path}: no such file or folder")
    remarks: list[str] = []
    X, y = _read_folder(path, status, remarks) if path.is_dir() else _read_npz(path)
    faces = Part(_as_uint8(X, remarks)[:, np.newaxis], np.unique(y, return_inverse=True)[1])
    faces = _limit(_drop_single_images(faces, path, remarks), remarks)
    return Part(_reduce(faces.images, remarks), faces.labels), remarks


def evenly(n: int, most: int) -> NDArray[np.intp]:
    """Return evenly chosen numbers below n, as many as there are, but not more than `most`."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.intp)


def _read_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read and check the arrays X and y; pickled objects could run code and are never loaded."""
    expected = "expected an .npz file, np.savez('f.npz', X=X, y=y), of numbers or text"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            X, y = check_X_y(archive["X"], archive["y"], allow_nd=True, dtype=None)
    except Exception as error:  # also for damaged archives, and of other kinds of file
        raise FileError(f"{path} cannot be used: {error}; {expected}") from error
    is_gray = X.ndim == 3 or (X.ndim == 4 and X.shape[1] == 1)
    if not is_gray or X.size == 0 or X.dtype.kind not in "buif":
        raise FileError(
            f"X of {path} has shape {X.shape} and dtype {X.dtype}, but expected real numbers, gray"
            " images (n, height, width) or (n, 1, height, width); reshape flattened ones"
        )
    return X.reshape(len(X), *X.shape[-2:]), y


def _read_folder(
    path: Path, status: Callable[[str], None], remarks: list[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read the pictures of all subfolders; a subfolder's name is the label."""
    files = [file for person in _visible(path) if person.is_dir() for file in _visible(person)]
    wanted = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not wanted:
        raise FileError(
            f"{path} has no pictures (PGM, PNG or JPEG) in subfolders;"
            " expected one subfolder of pictures for each person"
        )
    if len(files) > len(wanted):
        n_others = len(files) - len(wanted)
        remarks.append(f"Files that are not PGM, PNG or JPEG were left out ({n_others}).")
    pictures, unreadable = [], []
    for i, file in enumerate(wanted):
        status(f"reading picture {i + 1} of {len(wanted)}")
        try:
            pictures.append(_read_gray(file))
        except Exception:  # the readers of different formats raise different errors
            unreadable.append(file)
    if unreadable:
        some = ", ".join(str(file) for file in unreadable[:3])
        more = " and others" if len(unreadable) > 3 else ""
        raise FileError(
            f"unreadable pictures ({len(unreadable)}): {some}{more}; remove or replace them"
        )
    return _stack(pictures, wanted), np.array([file.parent.name for file in wanted])


def _visible(folder: Path) -> list[Path]:
    """Return the sorted entries of a folder, without hidden ones."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _read_gray(file: Path) -> NDArray[Any]:
    """Read a picture as (height, width): uint8, or floats in [0, 1] if it has 16 bits."""
    from PIL import Image  # comes with scikit-image

    with Image.open(file) as picture:
        if picture.mode.startswith("I"):  # 16 bits
            return np.asarray(picture) / 65535
        return np.asarray(picture.convert("L"))


def _stack(pictures: list[NDArray[Any]], files: list[Path]) -> NDArray[Any]:
    """Stack pictures of one size; if only some are uint8, all become floats in [0, 1]."""
    for picture, file in zip(pictures, files, strict=True):
        if picture.shape != pictures[0].shape:
            (h, w), (h0, w0) = picture.shape, pictures[0].shape
            raise FileError(
                f"{file} has {w}x{h} pixels and {files[0]} has {w0}x{h0}, but expected one"
                " size; crop or remove the pictures that differ"
            )
    if len({picture.dtype for picture in pictures}) > 1:
        pictures = [p / 255 if p.dtype == np.uint8 else p for p in pictures]
    return np.stack(pictures)


def _as_uint8(X: NDArray[Any], remarks: list[str]) -> NDArray[np.uint8]:
    """Convert images to 8 bits by one scale, so that bright images stay brighter than dark."""
    if X.dtype == np.uint8:
        return X
    remarks.append(f"The images ({X.dtype}) were converted to 8 bits by one linear scale.")
    X = X.astype(np.float64)
    low, high = X.min(), X.max()
    return np.rint((X - low) * (255 / (high - low or 1))).astype(np.uint8)


def _drop_single_images(faces: Part, path: Path, remarks: list[str]) -> Part:
    """Leave out people with a single image: it cannot serve for training and for testing."""
    counts = np.bincount(faces.labels)
    n_single = int((counts == 1).sum())
    if len(counts) - n_single < 2:
        raise FileError(
            f"{path}: {len(counts) - n_single} of {len(counts)} people have two or more images,"
            " but expected at least 2 such people"
        )
    if n_single:
        remarks.append(f"People with a single image were left out ({n_single}).")
    return faces.take(counts[faces.labels] > 1)


def _limit(faces: Part, remarks: list[str]) -> Part:
    """Keep the people with the most images, and evenly chosen images of each."""
    people = np.argsort(-np.bincount(faces.labels), kind="stable")[:MAX_PEOPLE]
    images_of = [np.flatnonzero(faces.labels == person) for person in people]
    kept = np.sort(np.concatenate([own[evenly(len(own), MAX_IMAGES)] for own in images_of]))
    if len(kept) < len(faces.labels):
        remarks.append(
            f"To save time, at most {MAX_PEOPLE} people with {MAX_IMAGES} images each are used."
        )
    labels = np.unique(faces.labels[kept], return_inverse=True)[1]  # from 0 without gaps
    return Part(faces.images[kept], labels)


def _reduce(images: NDArray[np.uint8], remarks: list[str]) -> NDArray[np.uint8]:
    """Reduce large images by an integer factor, to the means of blocks."""
    from skimage.transform import downscale_local_mean

    height, width = images.shape[2:]
    factor = -(-max(height, width) // MAX_SIDE)
    if factor == 1:
        return images
    remarks.append(f"To save time, the images were reduced from {width}x{height} pixels.")
    blocks = (1, 1, min(factor, height), min(factor, width))
    whole = images[..., : height - height % blocks[2], : width - width % blocks[3]]
    return np.rint(downscale_local_mean(whole, blocks)).astype(np.uint8)
