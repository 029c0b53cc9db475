"""The demo's pictures: from scikit-image, an .npz file, or a folder of pictures.

All of them become `Faces`: 8-bit gray pictures of one size in a 4-D array, as a camera would
deliver them, because two of the package's conventions need 8 bits. Remarks say what was changed or
left out, and the demo prints them.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import FileError

SUFFIXES = (".pgm", ".png", ".jpg", ".jpeg")
# These limits keep unknown data within minutes; the usual sets of faces are smaller.
MAX_SIDE = 48
MAX_PEOPLE = 100
MAX_PICTURES = 100


@dataclass(frozen=True)
class Faces:
    """Pictures with labels that say who or what they show.

    Attributes
    ----------
    pictures : ndarray of shape (n, 1, height, width), dtype uint8
    labels : ndarray of shape (n,), dtype int
        Indices into `names`.
    names : list of str
    remarks : list of str
        Sentences that say what was done to the pictures.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.intp]
    names: list[str]
    remarks: list[str] = field(default_factory=list)


def bundled_faces() -> Faces:
    """Return the 100 faces and 100 other things that scikit-image contains."""
    from skimage.data import lfw_subset

    pictures = np.rint(lfw_subset() * 255).astype(np.uint8)[:, np.newaxis]  # (200, 1, 25, 25)
    return Faces(pictures, np.repeat([1, 0], 100), ["other things", "faces"])


def read_faces(path: Path, status: Callable[[str], None] = lambda text: None) -> Faces:
    """Read the user's own faces.

    Parameters
    ----------
    path : Path
        An .npz file with X and y, or a folder with one subfolder of pictures per person.
    status : callable, default=does nothing
        Called with a short text that says how far the reading is.

    Returns
    -------
    Faces
        At least two people, each with at least two pictures.
    """
    if not path.exists():
        raise FileError(f"{path}: no such file or folder")
    X, y, remarks = _read_folder(path, status) if path.is_dir() else _read_npz(path)
    names, labels = np.unique(y, return_inverse=True)
    faces = Faces(_as_uint8(X, remarks)[:, np.newaxis], labels, [str(n) for n in names], remarks)
    return _reduce(_limit(_drop_single_pictures(faces, path)))


def _read_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any], list[str]]:
    """Read and check the arrays X and y."""
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile):
            archive = None  # neither .npy nor .npz
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileError(f"{path} is not an .npz file; use np.savez('f.npz', X=X, y=y)")
        missing = [name for name in ("X", "y") if name not in archive.files]
        if missing:
            found = ", ".join(archive.files) or "nothing"
            raise FileError(
                f"{path} has no {' and no '.join(missing)}, but {found};"
                " expected X, the pictures, and y, the person in each picture"
            )
        X, y = (_read_member(archive, name, path) for name in ("X", "y"))
    _check_pictures(X, path)
    _check_labels(y, len(X), path)
    return X.reshape(len(X), *X.shape[-2:]), y, []


def _read_member(archive: Any, name: str, path: Path) -> NDArray[Any]:
    """Read one array of an .npz file; pickled objects could run code and are never loaded."""
    try:
        return np.asarray(archive[name])
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(
            f"{name} of {path} cannot be read: {error}; arrays of Python objects are never loaded:"
            " save plain numbers or text (y.astype(str))"
        ) from error


def _check_pictures(X: NDArray[Any], path: Path) -> None:
    """Check the shape, type and values of X."""
    if X.ndim != 3 and not (X.ndim == 4 and X.shape[1] == 1):
        raise FileError(
            f"X of {path} has shape {X.shape}, but expected gray pictures, (n, height, width) or"
            " (n, 1, height, width); reshape flattened ones"
        )
    if X.dtype.kind not in "buif":
        raise FileError(f"X of {path} has dtype {X.dtype}, but expected real numbers")
    if X.size == 0:
        raise FileError(f"X of {path} has shape {X.shape}, but expected at least one picture")
    if not np.isfinite(X).all():
        bad = np.flatnonzero(~np.isfinite(X).all(axis=tuple(range(1, X.ndim))))
        raise FileError(f"X of {path} has NaN or infinity, first in picture {bad[0]}")


def _check_labels(y: NDArray[Any], n_pictures: int, path: Path) -> None:
    """Check the shape and type of y."""
    if y.shape != (n_pictures,):
        raise FileError(
            f"y of {path} has shape {y.shape}, but expected ({n_pictures},), one label per picture"
        )
    if y.dtype.kind not in "buifUS" or (y.dtype.kind == "f" and np.isnan(y).any()):
        raise FileError(f"y of {path} has dtype {y.dtype} or NaN, but expected numbers or text")


def _read_folder(
    path: Path, status: Callable[[str], None]
) -> tuple[NDArray[Any], NDArray[Any], list[str]]:
    """Read the pictures of all subfolders; a subfolder's name is the label."""
    files = [file for person in _visible(path) if person.is_dir() for file in _visible(person)]
    wanted = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not wanted:
        raise FileError(
            f"{path} has no pictures (PGM, PNG or JPEG) in subfolders;"
            " expected one subfolder of pictures for each person"
        )
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
    _check_sizes(pictures, wanted)
    others = len(files) - len(wanted)
    remarks = [f"Files that are not PGM, PNG or JPEG were left out ({others})."] if others else []
    return _stack(pictures), np.array([file.parent.name for file in wanted]), remarks


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


def _check_sizes(pictures: list[NDArray[Any]], files: list[Path]) -> None:
    """Check that all pictures have the size of the first."""
    for picture, file in zip(pictures, files, strict=True):
        if picture.shape != pictures[0].shape:
            (h, w), (h0, w0) = picture.shape, pictures[0].shape
            raise FileError(
                f"{file} has {w}x{h} pixels and {files[0]} has {w0}x{h0}, but expected one"
                " size; crop or remove the pictures that differ"
            )


def _stack(pictures: list[NDArray[Any]]) -> NDArray[Any]:
    """Stack pictures of one size; if only some are uint8, all become floats in [0, 1]."""
    if len({picture.dtype for picture in pictures}) > 1:
        pictures = [p / 255 if p.dtype == np.uint8 else p for p in pictures]
    return np.stack(pictures)


def _as_uint8(X: NDArray[Any], remarks: list[str]) -> NDArray[np.uint8]:
    """Convert pictures to 8 bits by one scale, so that bright pictures stay brighter than dark."""
    if X.dtype == np.uint8:
        return X
    remarks.append(f"The pictures ({X.dtype}) were converted to 8 bits by one linear scale.")
    X = X.astype(np.float64)
    low, high = X.min(), X.max()
    return np.rint((X - low) * (255 / (high - low or 1))).astype(np.uint8)


def _drop_single_pictures(faces: Faces, path: Path) -> Faces:
    """Leave out people with a single picture: it cannot serve for training and for testing."""
    counts = np.bincount(faces.labels)
    n_single = int((counts == 1).sum())
    if len(counts) - n_single < 2:
        raise FileError(
            f"{path}: {len(counts) - n_single} of {len(counts)} people have two or more pictures,"
            " but expected at least 2 such people"
        )
    if not n_single:
        return faces
    return _keep(
        faces, counts[faces.labels] > 1, f"People with a single picture were left out ({n_single})."
    )


def _limit(faces: Faces) -> Faces:
    """Keep the people with the most pictures, and evenly chosen pictures of each."""
    counts = np.bincount(faces.labels)
    people = np.argsort(-counts, kind="stable")[:MAX_PEOPLE]
    kept = []
    for person in people:
        own = np.flatnonzero(faces.labels == person)
        chosen = np.linspace(0, len(own) - 1, min(len(own), MAX_PICTURES)).round().astype(int)
        kept.append(own[chosen])
    keep = np.zeros(len(faces.labels), dtype=bool)
    keep[np.concatenate(kept)] = True
    if keep.all():
        return faces
    remark = f"To save time, only {MAX_PEOPLE} people with {MAX_PICTURES} pictures each are used."
    return _keep(faces, keep, remark)


def _keep(faces: Faces, keep: NDArray[np.bool_], remark: str) -> Faces:
    """Return some of the pictures, with labels from 0 without gaps."""
    people, labels = np.unique(faces.labels[keep], return_inverse=True)
    names = [faces.names[person] for person in people]
    return Faces(faces.pictures[keep], labels, names, [*faces.remarks, remark])


def _reduce(faces: Faces) -> Faces:
    """Reduce large pictures by an integer factor, to the means of blocks."""
    from skimage.transform import downscale_local_mean

    height, width = faces.pictures.shape[2:]
    factor = -(-max(height, width) // MAX_SIDE)
    if factor == 1:
        return faces
    blocks = (1, 1, min(factor, height), min(factor, width))
    whole = faces.pictures[..., : height - height % blocks[2], : width - width % blocks[3]]
    small = np.rint(downscale_local_mean(whole, blocks)).astype(np.uint8)
    remark = f"To save time, the pictures were reduced from {width}x{height} pixels."
    return replace(faces, pictures=small, remarks=[*faces.remarks, remark])
