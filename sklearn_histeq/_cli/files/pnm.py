"""PGM and PPM (Netpbm), with comments and any largest value, which Pillow does not keep."""

from __future__ import annotations

import math
import re

import numpy as np

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.picture import Page, Picture, Source

_GAP = rb"(?:\s|#[^\n]*\n)+"  # white space and comments
_HEADER = re.compile(rb"(P[2356])" + 3 * (_GAP + rb"(\d{1,9})") + rb"(?=[\s#])")
_HEADER_BYTES = 2**16
_TEXT_BYTES = 16  # the most that a number takes in a file that is text, with white space


def read(source: Source) -> Picture:
    """Read a PGM or PPM, as text or in bytes."""
    source.file.seek(0)
    header = _HEADER.match(source.file.read(_HEADER_BYTES))
    if header is None:
        raise PictureError("it is damaged, or no PGM or PPM (P2, P3, P5, P6)")
    magic, (width, height, top) = header[1], map(int, header.groups()[1:])
    source.check_pixels(width, height)
    if not 0 < top < 65536:
        raise PictureError(f"it is damaged: its largest value is {top}")
    is_text, shape = magic in (b"P2", b"P3"), (height, width, 3)[: 2 + (magic in (b"P3", b"P6"))]
    n, dtype = math.prod(shape), np.dtype("u1" if top < 256 else ">u2")
    n_bytes = 2 * n - 1 if is_text else n * dtype.itemsize
    if source.n_bytes < header.end() + 1 + n_bytes:
        raise PictureError("it is damaged: the file is cut short")
    data = source.whole(n * _TEXT_BYTES if is_text else n_bytes)[header.end() :]
    comments = re.findall(rb"#[^\n]*", header[0] + data if is_text else header[0])
    if is_text:
        data = re.sub(rb"#[^\n]*", b"", data)
        if re.search(rb"\d{6}|[^\d\s]", data):
            raise PictureError("it is damaged: not all its values are numbers up to 65535")
        values = np.fromstring(data, np.int32, sep=" ")
    else:
        values = np.frombuffer(data, dtype, n, 1)
        if data[1 + n_bytes :].strip():
            raise PictureError("it holds more than one picture, but expected one")
    if len(values) != n or values.max() > top:
        raise PictureError(f"it is damaged: it does not have {n} values up to {top}")
    own = None if top == np.iinfo(dtype).max else top
    page = Page(values.astype(dtype.newbyteorder("=")).reshape(shape), top=own)
    start = b"".join(line + b"\n" for line in [magic, *comments])
    return Picture("PPM", data, [page], lambda pages: _encode(pages[0], start, is_text))


def _encode(page: Page, start: bytes, is_text: bool) -> bytes:
    """Return the file of a page, after the kind of the file and its comments."""
    top = page.top or np.iinfo(page.colors.dtype).max
    height, width = page.colors.shape[:2]
    start += b"%d %d\n%d\n" % (width, height, top)
    if is_text:
        rows = page.colors.reshape(height, -1)
        return start + b"".join(b" ".join(b"%d" % v for v in row) + b"\n" for row in rows)
    return start + page.colors.astype("u1" if top < 256 else ">u2").tobytes()
