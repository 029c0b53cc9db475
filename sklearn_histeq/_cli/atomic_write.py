"""Files that appear completely or not at all.

A file is written under a hidden name in the same folder, and renamed when it is complete. An error,
Ctrl-C or a kill leaves what was there before. What a signal may leave unfinished is remembered, so
that it is removed when the run ends.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn_histeq._cli import signals
from sklearn_histeq._cli.errors import FileError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_unfinished: set[Path] = set()  # files that no run leaves behind


class AtomicFile:
    """A file to write to, which appears under its name when everything is written.

    Leaving the context puts the file into its place, or removes it after an error. A file that is
    replaced hands down its permissions, and a symbolic link goes on pointing to the file. Errors
    name the file that was asked for, not the hidden one.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite

    def __enter__(self) -> AtomicFile:
        check_file_target(self._path, self._overwrite)
        self._target = Path(os.path.realpath(self._path))
        # the name is short, since names have a limit, and noted before the file exists, since a
        # signal may come at any time
        self._part = self._target.parent / f".histeq-{secrets.token_hex(8)}.part"
        _unfinished.add(self._part)
        with _errors_naming(self._path):
            self._file = open(self._part, "xb", opener=_open_like(self._target))
        return self

    def write(self, data: Any) -> None:
        """Write bytes, or a contiguous array."""
        with _errors_naming(self._path):
            self._file.write(data)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            with _errors_naming(self._path):
                self._file.close()  # writing the last buffer may find the disk full
            if kind is None:
                signals.end_if_received()
                check_file_target(self._path, self._overwrite)
                with _errors_naming(self._path):
                    _take_owner_and_mode(self._target, self._part)
                    os.replace(self._part, self._target)
        finally:
            _remove(self._part)


def make_folder(path: Path) -> None:
    """Create a folder and those above it if they are missing."""
    with _errors_naming(path):
        path.mkdir(parents=True, exist_ok=True)


def write_file(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file; its folder is created if it is missing."""
    make_folder(path.parent)
    with AtomicFile(path, overwrite) as file:
        file.write(data)


def save_figure(figure: Figure, path: Path, overwrite: bool, software: str) -> None:
    """Write a figure as PNG, with the name of the software that made it."""
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": software})
    with AtomicFile(path, overwrite) as file:
        file.write(png.getvalue())


def check_file_target(path: Path, overwrite: bool) -> None:
    """Refuse to replace a folder, or to replace a file without --overwrite."""
    check_parent(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder, but expected the name of a file to write")
    if not overwrite and os.path.lexists(path):
        raise FileError(f"{path} exists; name another file, or give --overwrite")
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is no regular file, but expected the name of a file to write")


def check_parent(path: Path) -> None:
    """Refuse a name in a folder that does not exist."""
    if not path.parent.is_dir():
        raise FileError(f"{path}: the folder {path.parent} does not exist; create it first")


@signals.at_end
def _remove_unfinished() -> None:
    """Remove everything unfinished."""
    for path in list(_unfinished):
        _remove(path)


def _remove(path: Path) -> None:
    """Remove an unfinished file, if it is still there."""
    with suppress(OSError):  # as on a disk that has become read-only
        path.unlink(missing_ok=True)
    _unfinished.discard(path)


def _open_like(target: Path) -> Any:
    """Return an opener that lets nobody read a new file who may not read the one it replaces."""
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666
    return lambda name, flags: os.open(name, flags, mode)


def _take_owner_and_mode(target: Path, part: Path) -> None:
    """Give a new file the owner and permissions of the one that it replaces."""
    if target.exists():
        found = target.stat()
        with suppress(OSError, AttributeError):  # only root may give files away
            os.chown(part, found.st_uid, found.st_gid)
        part.chmod(stat.S_IMODE(found.st_mode))


@contextmanager
def _errors_naming(path: Path) -> Iterator[None]:
    """Let errors of the system name the path that the user knows."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
