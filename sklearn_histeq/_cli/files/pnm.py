"""PGM and PPM (Netpbm), with comments and any largest value, which Pillow does not keep."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.picture import Page, Picture, Source

# a number of the header, after white space and comments
_FIELD = re.compile(rb"((?:\s|#[^\n]*\n)+)(\d{1,9})(?=[\s#])")
_N_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_HEADER_BYTES = 2**16
_TEXT_BYTES = 16  # the most that a number takes in a file that is text, with white space


class _Header(NamedTuple):
    """The start of a file."""

    magic: bytes
    width: int
    height: int
    top: int  # the value of white
    comments: bytes
    n_bytes: int


def read(source: Source) -> Picture:
    """Read a PGM or PPM, as text or in bytes."""
    source.file.seek(0)
    header = _read_header(source.file.read(_HEADER_BYTES))
    source.check_pixels(header.width, header.height)
    n = header.width * header.height * _N_CHANNELS[header.magic]
    is_text = header.magic in (b"P2", b"P3")
    dtype: np.dtype[Any] = np.dtype("u1" if header.top < 256 else "u2")
    n_bytes = 2 * n - 1 if is_text else n * dtype.itemsize
    if source.n_bytes < header.n_bytes + 1 + n_bytes:
        raise PictureError("it is damaged: the file is cut short")
    data = source.whole(n * _TEXT_BYTES if is_text else n_bytes)[header.n_bytes :]
    if is_text:
        values, comments = _read_text(data, n)
        header = header._replace(comments=header.comments + comments)
    else:
        values = np.frombuffer(data, dtype.newbyteorder(">"), n, 1)
        if data[1 + n_bytes :].strip():
            raise PictureError("it holds more than one picture, but expected one")
    if values.max() > header.top:
        raise PictureError(f"it is damaged: a value is above {header.top}, the largest")
    shape = (header.height, header.width, *([3] if n > header.width * header.height else []))
    own = None if header.top == np.iinfo(dtype).max else header.top
    page = Page(values.astype(dtype).reshape(shape), top=own)

    def with_pages(pages: list[Page]) -> bytes:
        return _encode(pages[0], header)

    return Picture("PPM", data, [page], with_pages)


def new(is_color: bool) -> bytes:
    """Return the smallest file, for a picture of another format."""
    return b"P6 1 1 255 rgb" if is_color else b"P5 1 1 255 g"


def _read_header(data: bytes) -> _Header:
    """Read the start of a file."""
    if data[:2] not in _N_CHANNELS:
        raise PictureError("it is no PGM or PPM (P2, P3, P5, P6)")
    place, comments, numbers = 2, b"", []
    for _ in range(3):
        found = _FIELD.match(data, place)
        if found is None:
            raise PictureError("it is damaged: its header is not complete")
        comments += b"".join(re.findall(rb"#[^\n]*\n", found[1]))
        numbers.append(int(found[2]))
        place = found.end()
    width, height, top = numbers
    if not (width and height and 0 < top < 65536):
        raise PictureError("it is damaged: its header has impossible numbers")
    return _Header(data[:2], width, height, top, comments, place)


def _read_text(data: bytes, n: int) -> tuple[NDArray[Any], bytes]:
    """Return the values of a file that is text, and the comments among them."""
    comments = b"".join(line + b"\n" for line in re.findall(rb"#[^\n]*", data))
    data = re.sub(rb"#[^\n]*", b"", data)
    if re.search(rb"\d{6}|[^\d\s]", data):
        raise PictureError("it is damaged: not all its values are numbers up to 65535")
    values = np.fromstring(data, np.int32, sep=" ")
    if len(values) != n:
        raise PictureError(f"it is damaged: it has {len(values)} values, but expected {n}")
    return values, comments


def _encode(page: Page, header: _Header) -> bytes:
    """Return the file of a page, like the one of which this is the header."""
    top = page.top or np.iinfo(page.colors.dtype).max
    height, width = page.colors.shape[:2]
    start = header.magic + b"\n" + header.comments + b"%d %d\n%d\n" % (width, height, top)
    if header.magic in (b"P2", b"P3"):
        rows = page.colors.reshape(height, -1)
        return start + b"".join(b" ".join(b"%d" % v for v in row) + b"\n" for row in rows)
    return start + page.colors.astype("u1" if top < 256 else ">u2").tobytes()
