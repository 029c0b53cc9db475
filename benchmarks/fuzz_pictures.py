"""Equalize damaged picture files: each must be read or refused, within limits of memory and time.

The files are those of the tests, of every format. A mutant is a file in which some bytes are
changed, a number of a header is extreme, a part is cut out, doubled or taken from another file, or
the end is missing. Several processes share the mutants. They report every exception that is no
refusal, every mutant that takes more than five seconds, and every batch whose memory grows beyond
256 MiB and eight times its pixels.

    python benchmarks/fuzz_pictures.py --mutants 20000 --seed 1
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
import warnings
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from _picture_files import all_files
from PIL import Image

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import formats
from sklearn_histeq._cli.files.changer import Changer
from sklearn_histeq._cli.files.job import MAX_PIXELS, FileJob

SECONDS = 5
MOST_BYTES = 2**28
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(rng: random.Random, files: list[bytes]) -> bytes:
    """Return a damaged copy of one of the files."""
    data = bytearray(rng.choice(files))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        # half of the damage is in the first bytes, where the headers are
        end = len(data) if rng.random() < 0.5 else min(len(data), 200)
        place = rng.randrange(max(1, end))
        kind = rng.randrange(7)
        if kind < 2:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif kind < 4:
            size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
            number = rng.choice(EXTREMES) + rng.choice((0, 0, 1, -1))
            data[place : place + size] = (number % 256**size).to_bytes(size, order)
        elif kind == 4:
            data = data[:place]
        elif kind == 5:
            del data[place : place + rng.randrange(1, 40)]
        else:
            other = rng.choice([bytes(data), rng.choice(files)])
            start = rng.randrange(max(1, len(other)))
            data[place:place] = other[start : start + rng.randrange(1, 200)]
    if data[:4] == b"\x89PNG" and rng.random() < 0.8:
        mend_checksums(data)
    return bytes(data)


def mend_checksums(data: bytearray) -> None:
    """Make the checksums of a PNG right, so that damage reaches what is behind them."""
    place = 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 <= len(data):
            data[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4, "big")
        place = end + 4


def equalize(path: Path, rng: random.Random) -> int:
    """Equalize a file as the command line does; return the bytes of its pixels, 0 if refused."""
    options = rng.choice(({}, {}, {"dtype": "float32"}, {"dtype": "uint16"}, {"color": "value"}))
    changer = Changer(FileJob("equalize", (path,), path, options), None)
    try:
        picture = formats.read_picture(path, MAX_PIXELS)
        n_bytes = sum(page.colors.nbytes for page in picture.pages)
        changed = [changer(page) for page in picture.pages]
        format_ = picture.format if rng.random() < 0.8 else rng.choice(["PNG", "TIFF", "JPEG"])
        written = formats.encode(picture, changed, format_)
    except PictureError as error:
        if "it cannot be processed" in str(error):
            raise
        return 0
    if format_ == picture.format and format_ not in ("JPEG", "WEBP"):
        path.with_suffix(".out").write_bytes(written)
        again = formats.read_picture(path.with_suffix(".out"), MAX_PIXELS)
        for page, other in zip(changed, again.pages, strict=True):
            if options.get("dtype"):  # white may be zero for one type and not for the other
                continue
            np.testing.assert_array_equal(page.colors, other.colors)
            assert (page.alpha is None) == (other.alpha is None)
    return n_bytes


def work(number: int, n_mutants: int, seed: int, folder: Path, results: object) -> None:
    """Take every n-th batch of mutants, in this process."""
    warnings.simplefilter("ignore")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    Image.MAX_IMAGE_PIXELS = None
    files = [data for _, data in all_files()]
    path, said = folder / f"mutant-{number}", folder / f"said-{number}"
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)  # what C libraries say
    n_read = 0
    before = peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for k in range(n_mutants):
        rng = random.Random(f"{seed} {number} {k}")
        data = mutated(rng, files)
        path.write_bytes(data)
        began = time.monotonic()
        problem, n_bytes = "", 0
        try:
            n_bytes = equalize(path, rng)
        except Exception:
            problem = traceback.format_exc(limit=-2)
        seconds = time.monotonic() - began
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if seconds > SECONDS:
            problem += f"it took {seconds:.1f} s\n"
        if now > max(peak, before + MOST_BYTES + 8 * n_bytes):
            problem += f"it took {(now - before) / 2**20:.0f} MiB\n"
        peak = max(peak, now)
        n_read += n_bytes > 0
        if problem:
            kept = folder / f"problem-{seed}-{number}-{k}"
            kept.write_bytes(data)
            results.put(f"{kept}:\n{problem}")
    if said.stat().st_size:
        results.put(f"{said}: a library has said something\n")
    results.put(n_read)


def main() -> int:
    """Run the processes, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--mutants", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=int(np.random.SeedSequence().entropy % 2**32))
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz-pictures"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    share = -(-options.mutants // options.jobs)
    processes = [
        context.Process(target=work, args=(k, share, options.seed, options.folder, results))
        for k in range(options.jobs)
    ]
    began = time.monotonic()
    for process in processes:
        process.start()
    problems, n_read, n_waiting = 0, 0, options.jobs
    while n_waiting:
        try:
            found = results.get(timeout=60)
        except Exception:
            if all(process.is_alive() for process in processes):
                continue
            print("a process ended by itself: see the last file it wrote")
            return 1
        if isinstance(found, int):
            n_read, n_waiting = n_read + found, n_waiting - 1
        else:
            problems += 1
            print(found, flush=True)
    seconds = time.monotonic() - began
    print(
        f"seed {options.seed}: {share * options.jobs} mutants, {n_read} read, {problems} problems,"
        f" {seconds:.0f} s"
    )
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
