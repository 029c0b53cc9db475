"""One image larger than a worker's memory: zarr in, zarr out, and the same image in memory.

    python benchmarks/bench_large_image.py [--side 40000] [--chunk 2048] [--workers 1 2]

A uint8 image of side x side pixels is written to disk, and read, equalized to uint8 and written by
workers, each a process with one thread and a limit on its memory. The first step only copies it.
What is printed of each step: its seconds; the aim, which is 1.5 times the sum of the seconds that
copying takes and of those that equalizing in memory takes with as many threads; the processor's
seconds and the largest resident memory of any worker. In the end, how many times faster than with
the first number of workers. Each result is compared with the one in memory. The files are dropped
from the page cache before each step, but not with --warm. Needs the extra "dask" and zarr, room for
two images on the disk, and memory for three.
"""

import argparse
import os
import shutil
import tempfile
import time

import dask.array as da
import numpy as np
import zarr
from bench_dask import forget, peak_memory, workers

from sklearn_histeq import AdaptiveHistogramEqualizer, LocalHistogramEqualizer

STEPS = {
    "copy": None,
    "CLAHE": AdaptiveHistogramEqualizer(dtype="input"),
    "windows of 25": LocalHistogramEqualizer(window=25, dtype="input"),
}


def make_image(path, side, chunk):
    """Write a uint8 image (1, side, side) of tissue-like texture under uneven light."""
    store = new_array(path, side, chunk)
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 64, (chunk, chunk)) + 24 * rng.integers(0, 2, (chunk, chunk))
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    for start in range(0, side, chunk):
        rows = slice(start, min(start + chunk, side))
        tiled = np.tile(np.roll(texture, start // 7, axis=1), -(-side // chunk))[:, :side]
        light = 1 - (ramp[rows, np.newaxis] ** 2 + ramp**2) / 2
        store[0, rows] = (tiled[: rows.stop - rows.start] + 160 * light).astype(np.uint8)


def new_array(path, side, chunk):
    """Return a zarr array in an empty folder, not compressed: zstd is not what is measured."""
    shutil.rmtree(path, ignore_errors=True)
    shape, chunks = (1, side, side), (1, chunk, chunk)
    return zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint8", compressors=None)


def run(step, source, target, n_workers, options):
    """Do a step with so many new workers; return its seconds, those of processors, and a peak."""
    with workers(n_workers, options.memory) as client:
        processes = set(client.run(os.getpid).values())
        if not options.warm:
            forget(source)
        stored = new_array(target, options.side, options.chunk)
        cpu_seconds = sum(client.run(time.process_time).values())
        start = time.perf_counter()
        X = da.from_zarr(source)
        estimator = STEPS[step]
        result = X if estimator is None else estimator.transform(X)
        result.store(stored, lock=False)
        os.sync()
        seconds = time.perf_counter() - start
        if set(client.run(os.getpid).values()) != processes:
            raise RuntimeError(f"{step}: a worker was killed")
        cpu_seconds = sum(client.run(time.process_time).values()) - cpu_seconds
        return seconds, cpu_seconds, max(client.run(peak_memory).values())


def in_memory(step, X, n_jobs):
    """Return the image equalized in memory, and the seconds that it took."""
    estimator = STEPS[step].set_params(n_jobs=n_jobs)
    start = time.perf_counter()
    out = estimator.transform(X)
    seconds = time.perf_counter() - start
    estimator.set_params(n_jobs=None)
    return out, seconds


def check(target, expected):
    """Compare a stored image with one in memory, some rows at a time."""
    found = zarr.open_array(target, mode="r")
    step = found.chunks[1]
    for start in range(0, found.shape[1], step):
        rows = slice(start, start + step)
        np.testing.assert_array_equal(found[:, rows], expected[:, rows], strict=True)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--side", type=int, default=40_000)
    parser.add_argument("--chunk", type=int, default=2048, help="side of a chunk")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS)
    parser.add_argument("--warm", action="store_true", help="leave the files in the page cache")
    parser.add_argument("--memory", default="1GiB", help="limit of each worker")
    parser.add_argument("--directory", help="where the images are kept for the run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        measure(options, directory)


def measure(options, directory):
    """Print a line for each step and number of workers."""
    source, target = (os.path.join(directory, name) for name in ("source.zarr", "target.zarr"))
    make_image(source, options.side, options.chunk)
    X = zarr.open_array(source, mode="r")[:]
    seconds = {}
    for step in options.steps:
        for n_workers in options.workers:
            expected, of_memory = (X, 0) if step == "copy" else in_memory(step, X, n_workers)
            found, cpu_seconds, peak = run(step, source, target, n_workers, options)
            check(target, expected)
            del expected
            seconds[step, n_workers] = found
            aim = 1.5 * (seconds.get(("copy", n_workers), np.nan) + of_memory)
            faster = seconds[step, options.workers[0]] / found
            print(
                f"{step}, {n_workers} worker(s): {found:.1f} s, aim {aim:.1f} s (in memory "
                f"{of_memory:.1f} s), {faster:.2f} times as fast as the first; processor "
                f"{cpu_seconds:.1f} s, peak memory of a worker {peak / 2**20:.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
