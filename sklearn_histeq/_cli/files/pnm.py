"""PGM and PPM (Netpbm), with comments and any largest value, which Pillow does not keep."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.picture import Metadata, Page, Picture

# a number of the header, after white space and comments
_FIELD = re.compile(rb"((?:\s|#[^\n]*\n)+)(\d+)")
_N_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}


class _Header(NamedTuple):
    """The start of a file."""

    magic: bytes
    width: int
    height: int
    top: int  # the value of white
    comments: bytes
    n_bytes: int


def read(data: bytes) -> Picture:
    """Read a PGM or PPM, as text or in bytes."""
    header = _read_header(data)
    values = (
        _read_text(data, header) if header.magic in (b"P2", b"P3") else _read_bytes(data, header)
    )
    if values.size and values.max() > header.top:
        raise PictureError(f"it is damaged: a value is above {header.top}, the largest")
    dtype = np.dtype(np.uint8 if header.top < 256 else np.uint16)
    largest = 255 if header.top < 256 else 65535
    colors = np.rint(values * (largest / header.top)).astype(dtype)
    n = _N_CHANNELS[header.magic]
    colors = colors.reshape(header.height, header.width, *([n] if n > 1 else []))
    metadata = Metadata(others=["a comment"] if header.comments else [])

    def with_pages(pages: list[Page]) -> bytes:
        changed = pages[0].colors.dtype
        is_same = changed == dtype
        return _encode(pages[0], header if is_same else header._replace(top=np.iinfo(changed).max))

    return Picture("PPM", [Page(colors)], metadata, with_pages)


def encode(page: Page, metadata: Metadata) -> bytes:
    """Return a new PGM or PPM."""
    magic = b"P5" if page.colors.ndim == 2 else b"P6"
    return _encode(page, _Header(magic, 0, 0, np.iinfo(page.colors.dtype).max, b"", 0))


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


def _read_bytes(data: bytes, header: _Header) -> NDArray[Any]:
    """Return the values after the header and one white space."""
    dtype = np.dtype("u1" if header.top < 256 else ">u2")
    n = header.width * header.height * _N_CHANNELS[header.magic]
    body = data[header.n_bytes + 1 :]
    if len(body) < n * dtype.itemsize:
        raise PictureError("it is damaged: the file is cut short")
    if len(body) > n * dtype.itemsize:
        raise PictureError("it holds more than one picture, but expected one")
    return np.frombuffer(body, dtype)


def _read_text(data: bytes, header: _Header) -> NDArray[Any]:
    """Return the values of a file that is text."""
    words = data[header.n_bytes :].split()
    n = header.width * header.height * _N_CHANNELS[header.magic]
    if len(words) != n or not all(word.isdigit() for word in words):
        raise PictureError(f"it is damaged: it has {len(words)} values, but expected {n}")
    return np.array(words).astype(np.uint32)


def _encode(page: Page, header: _Header) -> bytes:
    """Return the file of a page, like the one of which this is the header."""
    colors, top = page.colors, header.top
    values = np.rint(colors * (top / np.iinfo(colors.dtype).max))
    height, width = colors.shape[:2]
    start = header.magic + b"\n" + header.comments + b"%d %d\n%d\n" % (width, height, top)
    if header.magic in (b"P2", b"P3"):
        rows = values.astype(int).reshape(height, -1)
        return start + b"".join(b" ".join(b"%d" % v for v in row) + b"\n" for row in rows)
    return start + values.astype("u1" if top < 256 else ">u2").tobytes()
