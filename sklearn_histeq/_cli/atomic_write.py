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
from typing import TYPE_CHECKING, BinaryIO

from sklearn_histeq._cli import signals
from sklearn_histeq._cli.errors import FileError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_unfinished: set[Path] = set()  # files that no run leaves behind


@contextmanager
def atomic_file(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Yield a file to write to, which appears under its name when everything is written.

    Its folder is created if it is missing. After an error the file is removed. A file that is
    replaced hands down its owner and permissions, and a symbolic link goes on pointing to the file.
    Errors of the system name the file that was asked for, not the hidden one.
    """
    # the name is short, since names have a limit, and noted before the file exists, since a signal
    # may come at any time
    target = Path(os.path.realpath(path))
    part = target.parent / f".histeq-{secrets.token_hex(8)}.part"
    _unfinished.add(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_file_target(path, overwrite)
        old = target.stat() if target.exists() else None
        # nobody may read the new file, not even unfinished, who may not read the old one
        mode = stat.S_IMODE(old.st_mode) if old else 0o666
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
        signals.end_if_received()
        check_file_target(path, overwrite)
        if old:
            with suppress(OSError, AttributeError):  # only root may give files away
                os.chown(part, old.st_uid, old.st_gid)
            part.chmod(mode)
        os.replace(part, target)
    except OSError as error:
        named = str(error.filename or path)
        place = path if named == str(part) else named
        raise FileError(f"{place}: {error.strerror or error}") from error
    finally:
        _remove(part)


def save_figure(figure: Figure, path: Path, overwrite: bool, software: str) -> None:
    """Write a figure as PNG, with the name of the software that made it."""
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": software})
    with atomic_file(path, overwrite) as file:
        file.write(png.getvalue())


def check_figure_target(option: str, path: Path, overwrite: bool) -> None:
    """Refuse a name that is not that of a PNG, or where no file may be written."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"{option} {path}, but expected a name that ends in .png")
    check_file_target(path, overwrite)


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
