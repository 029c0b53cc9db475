"""Equalize every file of a folder of unusual pictures, and compare outputs with inputs.

The command line processes each file by itself. If it refuses a file, it must do so in one line that
names the file. Otherwise other readers (Pillow, OpenCV and tifffile) read the output: its pixels
must be the equalized pixels of the input, and everything else that these readers report must be the
same for both files.

    pip download --no-deps --no-binary :all: pillow    # and unpack it
    python benchmarks/check_pictures.py pillow-12.0.0/Tests/images
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from sklearn_histeq import HistogramEqualizer
from sklearn_histeq._cli import main as command_line

LOSSY = 25  # mean difference in levels that JPEG and WebP may have
CODED = {256, 257, 258, 259, 262, 270, 273, 277, 278, 279, 280, 281, 322, 323, 324, 325, 339, 340}
CODED |= {341, 330, 34665, 34853, 40965}  # what describes pixels, or has offsets


def run(path: Path, out: Path) -> tuple[int, str]:
    """Equalize a file; return the exit status and all that was said, by C libraries as well."""
    with tempfile.TemporaryFile() as said:
        before = os.dup(2)
        os.dup2(said.fileno(), 2)
        sys.stderr.flush()
        try:
            status = command_line(["equalize", str(path), str(out), "--quiet"])
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
        said.seek(0)
        return status, said.read().decode("utf-8", "replace")


def pages_of(path: Path) -> list[np.ndarray]:
    """Return the pixels of a file by other readers, (h, w) or (h, w, n), alpha last."""
    head = path.read_bytes()[:4]
    if head[:2] in (b"II", b"MM"):
        return tiff_pages(path)
    with Image.open(path) as image:
        if image.format == "PNG" and head == b"\x89PNG":
            depth, kind = path.read_bytes()[24:26]
            if depth == 16 and kind != 0 and "transparency" not in image.info:
                deep = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                return [deep[..., {2: [2, 1, 0], 4: [0, 3], 6: [2, 1, 0, 3]}[kind]]]
        if image.mode == "1" and "transparency" not in image.info:
            return [np.asarray(image.convert("L"))]
        if image.mode == "I;16" and "transparency" in image.info:
            gray = np.asarray(image).astype("u2")
            return [
                np.dstack([gray, np.where(gray == image.info["transparency"], 0, 65535)]).astype(
                    "u2"
                )
            ]
        if image.mode == "P" or (image.mode in ("1", "L", "RGB") and "transparency" in image.info):
            is_clear = "transparency" in image.info
            gray = "LA" if is_clear else "L"
            colors = "RGBA" if is_clear else "RGB"
            return [np.asarray(image.convert(gray if image.mode in ("1", "L") else colors))]
        array = np.asarray(image)
        return [array.astype("u2") if array.dtype.itemsize > 1 else array]


def tiff_pages(path: Path) -> list[np.ndarray]:
    """Return the pages of a TIFF, black as 0."""
    found = []
    with tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            array = page.asarray()
            if page.planarconfig == 2 and page.samplesperpixel > 1:
                array = np.moveaxis(array, 0, -1)
            array = array.astype(array.dtype.newbyteorder("="))
            if page.photometric == 0 and array.dtype.kind == "u":
                array = np.iinfo(array.dtype).max - array
            found.append(array)
    return found


def equalized(array: np.ndarray, has_alpha: bool) -> np.ndarray:
    """Return what the estimator makes of a page."""
    colors = array[..., :-1] if has_alpha else array
    colors = colors[..., 0] if colors.ndim == 3 and colors.shape[-1] == 1 else colors
    seen = array[..., -1] != 0 if has_alpha else np.ones(colors.shape[:2], bool)
    if not seen.any():
        return array
    estimator = HistogramEqualizer(channel_axis=-1, dtype="input")
    mask = None if seen.all() else seen[None]
    changed = estimator.transform(np.ascontiguousarray(colors)[None], mask=mask)[0]
    changed = np.where(seen if colors.ndim == 2 else seen[..., None], changed, colors)
    return np.dstack([changed, array[..., -1]]) if has_alpha else changed


def has_alpha(path: Path, array: np.ndarray) -> bool:
    """Tell whether the last channel is alpha."""
    if path.read_bytes()[:2] not in (b"II", b"MM"):
        return array.ndim == 3 and array.shape[-1] in (2, 4)
    with tifffile.TiffFile(path) as tiff:
        return any(int(kind) in (1, 2) for kind in tiff.pages[0].extrasamples)


def said_of(path: Path) -> dict[str, Any]:
    """Return what readers say of a picture beside its pixels."""
    if path.read_bytes()[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(path) as tiff:
            tags = [tag for page in tiff.pages for tag in page.tags if tag.code not in CODED]
            return {str(k): (tag.code, tag.dtype, str(tag.value)) for k, tag in enumerate(tags)}
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        info = {k: v for k, v in image.info.items() if k in ("icc_profile", "xmp", "comment")}
        info["dpi"] = image.info.get("dpi")
        info["text"] = getattr(image, "text", None)
        info["exif"] = {**exif}, {**exif.get_ifd(34665)}, {**exif.get_ifd(34853)}
        return {key: repr(value) for key, value in info.items()}  # numbers may be NaN


def problem_of(path: Path, out: Path) -> str:
    """Return what differs, or nothing."""
    try:
        before, said = pages_of(path), said_of(path)
    except Exception as error:
        return f"unsure: no other reader takes it ({type(error).__name__})"
    after, still = pages_of(out), said_of(out)
    if len(before) != len(after):
        return f"{len(before)} pages became {len(after)}"
    is_webp = out.read_bytes()[8:12] == b"WEBP"
    is_lossy = out.read_bytes()[:2] == b"\xff\xd8" or (is_webp and b"VP8L" not in out.read_bytes())
    top = {"icc_profile", "xmp", "comment", "dpi", "text", "exif"}
    for array, found in zip(before, after, strict=True):
        wanted = equalized(array, has_alpha(path, array))
        if wanted.shape != found.shape or wanted.dtype != found.dtype:
            return f"{wanted.shape} {wanted.dtype} became {found.shape} {found.dtype}"
        if is_lossy:
            difference = np.abs(wanted.astype(float) - found).mean()
            if difference > LOSSY:
                return f"the pixels differ by {difference:.1f} on the average"
        elif not np.array_equal(wanted, found, equal_nan=wanted.dtype.kind == "f"):
            return f"{np.mean(wanted != found):.0%} of the values differ"
    lost = [key for key in said if said[key] != still.get(key) and (key in top or key.isdigit())]
    return f"differ: {', '.join(f'{k} {said[k]!r:.60}' for k in lost[:3])}" if lost else ""


def main() -> int:
    """Check all files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--verbose", action="store_true", help="print every refusal")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    counts, refusals, slowest = Counter(), Counter(), (0.0, "")
    with tempfile.TemporaryDirectory() as name:
        for path in files:
            began = time.monotonic()
            status, said = run(path, Path(name))
            slowest = max(slowest, (time.monotonic() - began, str(path)))
            out, problem = Path(name, path.name), ""
            lines = said.splitlines()
            if any(not line.startswith("histeq: ") for line in lines) or len(lines) != status:
                problem = f"said {said!r:.300}"
            elif status:
                reason = said.removeprefix(f"histeq: error: {path}: ").strip()
                refusals[re.sub(r"\d+", "N", reason)[:70]] += 1
                if options.verbose:
                    print(said, end="")
            else:
                problem = problem_of(path, out)
            out.unlink(missing_ok=True)
            kind = "refused" if status else "unsure" if problem.startswith("unsure") else "kept"
            counts["wrong" if problem and kind != "unsure" else kind] += 1
            if problem:
                print(f"{path}: {problem}", flush=True)
    for reason, n in refusals.most_common():
        print(f"{n:5d} refused: {reason}")
    print(f"{len(files)} files: {dict(counts)}; the slowest took {slowest[0]:.1f} s: {slowest[1]}")
    return int(counts["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
