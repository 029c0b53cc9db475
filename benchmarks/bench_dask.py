"""A data set larger than a worker's memory: one zarr on disk, fit, transform, another zarr.

    python benchmarks/bench_dask.py [--gib 6] [--chunk-mib 64] [--workers 1 2] [--directory DIR]

Every worker is a process with one thread and a limit on its memory. The images' files are dropped
from the page cache before each run, so that they are read from the disk. What is printed: seconds,
bytes of images a second, the largest resident memory of any worker, and the times of the numbers of
workers as ratios to the first. The first and the last chunk of the result are compared with
`transform` in memory. Needs the extra "dask" and zarr, and twice the disk space.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
import zarr
from distributed import Client, LocalCluster

from sklearn_histeq import HistogramEqualizer

SIDE = 96
STEPS = ("fit", "transform")


def make_images(path, n_bytes, chunk_bytes):
    """Write uint8 images (n, 1, 96, 96) of different brightness, uncompressed, chunk by chunk."""
    per_chunk = chunk_bytes // SIDE**2
    n = max(1, n_bytes // (per_chunk * SIDE**2)) * per_chunk
    store = zarr.create_array(
        path,
        shape=(n, 1, SIDE, SIDE),
        chunks=(per_chunk, 1, SIDE, SIDE),
        dtype="uint8",
        compressors=None,
    )
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 128, (per_chunk, 1, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, n, per_chunk):
        light = rng.integers(0, 128, (per_chunk, 1, 1, 1), dtype=np.uint8)
        store[start : start + per_chunk] = np.roll(noise, start // per_chunk, axis=3) + light
    return n


def forget(path):
    """Drop a store's files from the page cache."""
    os.sync()
    for file in Path(path).rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def peak_memory():
    """Return the largest resident memory of this process so far, in bytes (Linux)."""
    # not resource.getrusage: a new process starts with its parent's there
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024


def run(source, target, n_workers, memory, scope):
    """Fit and transform with so many workers; return seconds of each step, and peak memory."""
    shutil.rmtree(target, ignore_errors=True)
    cluster = LocalCluster(
        n_workers=n_workers, threads_per_worker=1, memory_limit=memory, dashboard_address=":0"
    )
    seconds = {}
    with cluster, Client(cluster) as client:
        baseline = max(client.run(peak_memory).values())
        X = da.from_zarr(source)
        equalizer = HistogramEqualizer(scope=scope, dtype="input")
        for step in STEPS:
            forget(source)
            start = time.perf_counter()
            if step == "fit":
                equalizer.fit(X)
            else:
                # compressors=None: to measure neither zstd nor how well noise is compressed
                stored = zarr.create_array(
                    target, shape=X.shape, chunks=X.chunksize, dtype="uint8", compressors=None
                )
                equalizer.transform(X).store(stored, lock=False)
                os.sync()
            seconds[step] = time.perf_counter() - start
        peak = max(client.run(peak_memory).values())
    check(equalizer, source, target)
    return seconds, peak, baseline


def check(equalizer, source, target):
    """Compare the first and the last chunk of the result with those computed in memory."""
    X, result = zarr.open_array(source, mode="r"), zarr.open_array(target, mode="r")
    for part in (slice(0, X.chunks[0]), slice(-X.chunks[0], None)):
        np.testing.assert_array_equal(result[part], equalizer.transform(X[part]), strict=True)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--gib", type=float, default=6, help="size of the data set")
    parser.add_argument("--chunk-mib", type=float, default=64, help="size of a chunk")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--memory", default="1GiB", help="limit of each worker")
    parser.add_argument("--scope", default="dataset", help="of HistogramEqualizer")
    parser.add_argument("--directory", help="where the data set is kept for the run")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(dir=options.directory)
    try:
        measure(options, directory)
    finally:
        shutil.rmtree(directory)


def measure(options, directory):
    """Print a line for each number of workers."""
    source, target = (os.path.join(directory, name) for name in ("source.zarr", "target.zarr"))
    n = make_images(source, int(options.gib * 2**30), int(options.chunk_mib * 2**20))
    size = n * SIDE**2
    print(f"{n} images, {size / 2**30:.2f} GiB, chunks of {options.chunk_mib:g} MiB", flush=True)
    first = None
    for n_workers in options.workers:
        seconds, peak, baseline = run(source, target, n_workers, options.memory, options.scope)
        first = first or seconds
        steps = ", ".join(
            f"{step} {seconds[step]:.1f} s ({size / seconds[step] / 2**20:.0f} MiB/s, "
            f"{first[step] / seconds[step]:.2f} times the first)"
            for step in STEPS
        )
        print(
            f"{n_workers} worker(s) of {options.memory}: {steps}; peak memory of a worker "
            f"{peak / 2**20:.0f} MiB, {baseline / 2**20:.0f} before",
            flush=True,
        )


if __name__ == "__main__":
    main()
