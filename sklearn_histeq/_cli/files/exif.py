"""Exif metadata: its preview, its orientation, and its way from one format to another.

Pillow reads the tags. Where they stay in a format, the bytes stay in their places, since notes of
camera makers contain offsets; only the preview is overwritten.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.directories import read_directories

PREFIX = b"Exif\0\0"
ORIENTATION, EXIF_IFD, GPS_IFD = 274, 34665, 34853
_PREVIEW = {513, 514}  # its offset and length
# description, make, model, resolution, unit, software, date, artist, computer, copyright
_IN_BOTH = (270, 271, 272, ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 33432)


def without_preview(exif: bytes) -> bytes:
    """Return the metadata without the preview, which would show the old picture."""
    prefix = PREFIX if exif.startswith(PREFIX) else b""
    data = bytearray(exif.removeprefix(PREFIX))
    try:
        layout, directories = read_directories(io.BytesIO(data))
        seconds = [d for d in directories if d.link == directories[0].next_link]
        if not seconds:
            return exif
        second = seconds[0]
        if set(second.entries) >= _PREVIEW:
            places = [second.entries[tag].place for tag in sorted(_PREVIEW)]
            start, n_bytes = (struct.unpack_from(layout.order + "I", data, p)[0] for p in places)
            data[start : start + n_bytes] = bytes(len(data[start : start + n_bytes]))
        data[second.link[0] : sum(second.link)] = bytes(second.link[1])  # no directory follows
    except (PictureError, struct.error):  # damaged metadata stay as they are
        return exif
    return prefix + bytes(data)


def orientation_of(exif: bytes | None) -> int:
    """Return how the picture is to be turned: 1 for not at all, to 8."""
    found = Image.Exif()
    try:
        found.load(exif or b"")
        value = int(found.get(ORIENTATION, 1))
    except Exception:  # Pillow raises what it likes for damaged metadata
        return 1
    return value if 1 <= value <= 8 else 1


def turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return the pixels as they are to be seen."""
    array = np.swapaxes(array, 0, 1) if orientation in (5, 6, 7, 8) else array
    rows, columns = (-1 if orientation in which else 1 for which in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return array[::rows, ::columns]


def of_tiff(image: Any) -> bytes:
    """Return the metadata of a TIFF file's first page for other formats."""
    found, kept = image.getexif(), Image.Exif()
    kept.update({tag: found[tag] for tag in _IN_BOTH if tag in found})
    for tag in (EXIF_IFD, GPS_IFD):
        if tag in found:
            kept.get_ifd(tag).update(found.get_ifd(tag))
    return kept.tobytes() if len(kept) else b""
