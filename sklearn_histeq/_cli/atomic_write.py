"""Files and folders that appear whole or not at all: written beside their place, and renamed.

Whatever ends the work before, an error, Ctrl-C or a kill, what was there before is still there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sklearn_histeq._cli.errors import FileError

_N_NAMED = 3


class WholeFile:
    """A file to write to, which appears under its name when all is written.

    Used as a context: leaving it puts the file in its place, or after an error removes it.
    Errors name the file that was asked for, not the one written beside it.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite
        self._part = _beside(path, "part")

    def __enter__(self) -> WholeFile:
        check_free(self._path, self._overwrite)
        with _named(self._path):
            self._file = self._part.open("xb")
        return self

    def write(self, data: Any) -> None:
        """Write bytes, or any contiguous array."""
        with _named(self._path):
            self._file.write(data)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            with _named(self._path):
                self._file.close()  # what was buffered may find the disk full
            if kind is None:
                check_free(self._path, self._overwrite)
                with _named(self._path):
                    os.replace(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, overwrite: bool, names: set[Path]) -> Iterator[Path]:
    """Give a new folder to fill, which then takes the place of path.

    With overwrite a folder gives way only where it holds nothing but `names`, the files that are
    to be written: a mistyped OUT costs nobody a folder of other things.
    """
    _check_folder_free(path, overwrite, names)
    part = _beside(path, "part")
    with _named(path):
        part.mkdir()
    try:
        yield part
        _check_folder_free(path, overwrite, names)
        with _named(path):
            _put_in_place(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_file(path: Path, data: bytes, name: Path) -> None:
    """Write a file of an unfinished folder; errors call it by the name that it will have."""
    with _named(name):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse to write over a folder, or a file without leave."""
    _check_parent(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder, but expected the name of a file to write")
    if not overwrite and os.path.lexists(path):
        raise FileError(f"{path} exists; name another file, or give --overwrite")


def _check_folder_free(path: Path, overwrite: bool, names: set[Path]) -> None:
    """Refuse to write over a file, a folder without leave, or one with other things in it."""
    _check_parent(path)
    if path.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise FileError(f"{path} is the current folder, or holds it; name a new folder")
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise FileError(f"{path} exists and is no folder, but expected the name of a new folder")
    if not path.exists():
        return
    found = [file.relative_to(path) for file in path.rglob("*") if not file.is_dir()]
    if found and not overwrite:
        raise FileError(f"{path} exists; name another folder, or give --overwrite")
    others = sorted(map(str, set(found) - names))
    if others:
        more = f" and {len(others) - _N_NAMED} more" if len(others) > _N_NAMED else ""
        raise FileError(
            f"{path} holds what would not be written anew ({', '.join(others[:_N_NAMED])}{more});"
            " --overwrite would lose it: move it away, or name another folder"
        )


def _check_parent(path: Path) -> None:
    """Refuse a name in a folder that does not exist."""
    if not path.parent.is_dir():
        raise FileError(f"{path}: there is no folder {path.parent} to write it into")


def _put_in_place(part: Path, path: Path) -> None:
    """Rename a finished folder; one that it takes the place of is removed last."""
    if not path.exists():
        os.rename(part, path)
        return
    old = _beside(path, "old")
    os.rename(path, old)
    try:
        os.rename(part, path)
    except OSError:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path, ending: str) -> Path:
    """Return a hidden name in the same folder, so that renaming never copies."""
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let errors of the system name the path that the user knows."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
