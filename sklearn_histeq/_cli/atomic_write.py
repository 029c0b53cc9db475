"""Files and folders that appear completely or not at all.

They are written under a hidden name in the same folder, and renamed when they are complete. An
error, Ctrl-C or a kill leaves what was there before. What a signal may leave unfinished is
remembered, so that it is removed when the run ends.
"""

from __future__ import annotations

import ctypes
import io
import os
import secrets
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn_histeq._cli import signals
from sklearn_histeq._cli.errors import FileError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_N_NAMED = 3
_unfinished: set[Path] = set()  # files and folders that no successful run leaves behind


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
        self._part = _hidden_name(self._target.parent)
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


@contextmanager
def atomic_folder(path: Path, overwrite: bool, names: set[Path]) -> Iterator[Path]:
    """Yield a new folder to fill, which takes the place of `path` when the context ends.

    With `overwrite`, a folder is replaced only if it holds nothing but files called `names`, so
    that a mistyped OUT does not cost a folder of other things. A file of the old folder that was
    not written again stays.
    """
    target = Path(os.path.realpath(path))
    old = _check_folder_target(path, target, overwrite, names)
    part = _hidden_name(target.parent)
    with _errors_naming(path):
        part.mkdir()
    try:
        yield part
        signals.end_if_received()
        if _check_folder_target(path, target, overwrite, names) != old:
            raise FileError(f"{path} was changed by another program meanwhile; run this again")
        with _errors_naming(path):
            _keep(old, target, part)
            _put_in_place(part, target)
    finally:
        _remove(part)


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Create a folder if it is missing, and remove it at the end if nothing was written into it."""
    is_new = not path.exists()
    if is_new:
        with _errors_naming(path):
            path.mkdir()
    try:
        yield
    finally:
        if is_new and not any(path.iterdir()):
            path.rmdir()


def write_file(path: Path, data: bytes, name: Path) -> None:
    """Write a file into an unfinished folder; errors use the name that it will have."""
    with _errors_naming(name):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def save_figure(figure: Figure, path: Path, overwrite: bool, software: str) -> None:
    """Write a figure as PNG, with the name of the software that made it."""
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": software})
    with AtomicFile(path, overwrite) as file:
        file.write(png.getvalue())


def check_file_target(path: Path, overwrite: bool) -> None:
    """Refuse to replace a folder, or to replace a file without --overwrite."""
    _check_parent(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder, but expected the name of a file to write")
    if not overwrite and os.path.lexists(path):
        raise FileError(f"{path} exists; name another file, or give --overwrite")
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is no regular file, but expected the name of a file to write")


def _check_folder_target(
    path: Path, target: Path, overwrite: bool, names: set[Path]
) -> set[Path] | None:
    """Return the files in the folder to replace, or None; refuse to lose any of them."""
    _check_parent(path)
    if target in (Path.cwd(), *Path.cwd().parents):
        raise FileError(f"{path} is the current folder, or contains it; name a new folder")
    if not target.exists():
        return None
    if not target.is_dir():
        raise FileError(f"{path} exists and is not a folder, but expected a new folder")
    found = {file for file in target.rglob("*") if file.is_symlink() or not file.is_dir()}
    old = {file.relative_to(target) for file in found}
    if old and not overwrite:
        raise FileError(f"{path} exists; name another folder, or give --overwrite")
    others = {name for name in old if name not in names or (target / name).is_symlink()}
    if others:
        named = ", ".join(sorted(map(str, others))[:_N_NAMED])
        more = f" and {len(others) - _N_NAMED} more" if len(others) > _N_NAMED else ""
        raise FileError(
            f"{path} contains other files ({named}{more}), which --overwrite would lose; move them"
            " away, or name another folder"
        )
    return old


def _check_parent(path: Path) -> None:
    """Refuse a name in a folder that does not exist."""
    if not path.parent.is_dir():
        raise FileError(f"{path}: the folder {path.parent} does not exist; create it first")


def _keep(old: set[Path] | None, target: Path, part: Path) -> None:
    """Keep files that were not written again, and the permissions of those that were."""
    if old is None:
        return
    for name in old:
        new = part / name
        if new.exists():
            _take_owner_and_mode(target / name, new)
        else:
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(target / name, new)
    for folder in [target, *(folder for folder in target.rglob("*") if folder.is_dir())]:
        new = part / folder.relative_to(target)
        if new.is_dir():
            _take_owner_and_mode(folder, new)


def _put_in_place(part: Path, target: Path) -> None:
    """Rename a finished folder; afterwards `part` is the folder that it replaced, if any."""
    if not target.exists():
        os.rename(part, target)
    elif not _exchange(part, target):
        between = _hidden_name(target.parent)
        with _signals_blocked():
            os.rename(target, between)
            try:
                os.rename(part, target)
            except OSError:
                os.rename(between, target)
                raise
            finally:
                _unfinished.discard(between)
        shutil.rmtree(between, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in a single step, so that even SIGKILL finds one in place; Linux only."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    names = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(here, names[0], here, names[1], exchange) == 0


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let signals wait, where the system can do that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hidden_name(folder: Path) -> Path:
    """Return a new name for something unfinished; it is short, since names have a limit."""
    path = folder / f".histeq-{secrets.token_hex(8)}.part"
    _unfinished.add(path)  # before it exists: a signal may come at any time
    return path


def _remove(path: Path) -> None:
    """Remove something unfinished, if it is still there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    _unfinished.discard(path)


@signals.at_end
def _remove_unfinished() -> None:
    """Remove everything unfinished."""
    for path in list(_unfinished):
        _remove(path)


def _open_like(target: Path) -> Any:
    """Return an opener that lets nobody read a new file who may not read the one it replaces."""
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666
    return lambda name, flags: os.open(name, flags, mode)


def _take_owner_and_mode(target: Path, part: Path) -> None:
    """Give a new file or folder the owner and permissions of the one that it replaces."""
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
