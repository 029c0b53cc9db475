"""Measure fit and transform on a data set larger than a worker's memory, from one zarr to another.

    python benchmarks/bench_dask.py [--gib 6] [--chunk-mib 64] [--workers 1 2] [--rounds 1] [--warm]

Every worker is a process with one thread and a limit on its memory. Unless --warm is given, the
files of the images are dropped from the page cache before each step, so that they are read from the
disk. For each run the script prints seconds, bytes of images per second, processor seconds in all
workers, and the largest resident memory of any worker. In the end it prints how many times faster
it is than with the first number of workers: the median over the rounds of the ratio within a round.
The first and the last chunk of each result are compared with `transform` in memory. Needs the extra
"dask" and zarr, and twice the disk space.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import dask.array as da
import numpy as np
import zarr
from distributed import Client, LocalCluster

from sklearn_histeq import HistogramEqualizer

SIDE = 96
STEPS = ("fit", "maximum", "transform")  # the second transforms, too, but writes nothing


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


@contextmanager
def workers(n_workers, memory):
    """Yield a client of so many processes with one thread and a limit on their memory."""
    cluster = LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        memory_limit=memory,
        dashboard_address=":0",
    )
    with cluster, Client(cluster) as client:
        yield client


class Run(NamedTuple):
    """What was measured with a number of workers."""

    seconds: dict  # by step
    cpu_seconds: dict  # by step, of all workers
    peak: int  # bytes, the largest of any worker
    before: int


def run(source, target, n_workers, options):
    """Fit and transform with so many workers; return a `Run`."""
    shutil.rmtree(target, ignore_errors=True)
    seconds, cpu_seconds = {}, {}
    with workers(n_workers, options.memory) as client:
        before = max(client.run(peak_memory).values())
        X = da.from_zarr(source)
        equalizer = HistogramEqualizer(scope=options.scope, dtype="input")
        for step in STEPS:
            if not options.warm:
                forget(source)
            cpu = sum(client.run(time.process_time).values())
            start = time.perf_counter()
            if step == "fit":
                equalizer.fit(X)
            elif step == "maximum":
                equalizer.transform(X).max().compute()
            else:
                # compressors=None: to measure neither zstd nor how well noise is compressed
                stored = zarr.create_array(
                    target, shape=X.shape, chunks=X.chunksize, dtype="uint8", compressors=None
                )
                equalizer.transform(X).store(stored, lock=False)
                os.sync()
            seconds[step] = time.perf_counter() - start
            cpu_seconds[step] = sum(client.run(time.process_time).values()) - cpu
        peak = max(client.run(peak_memory).values())
    check(equalizer, source, target)
    return Run(seconds, cpu_seconds, peak, before)


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
    parser.add_argument("--rounds", type=int, default=1, help="runs of each number of workers")
    parser.add_argument("--warm", action="store_true", help="leave the files in the page cache")
    parser.add_argument("--memory", default="1GiB", help="limit of each worker")
    parser.add_argument("--scope", default="dataset", help="of HistogramEqualizer")
    parser.add_argument("--directory", help="where the data set is kept for the run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        measure(options, directory)


def measure(options, directory):
    """Print a line for each run, and the ratios."""
    source, target = (os.path.join(directory, name) for name in ("source.zarr", "target.zarr"))
    n = make_images(source, int(options.gib * 2**30), int(options.chunk_mib * 2**20))
    size = n * SIDE**2
    print(f"{n} images, {size / 2**30:.2f} GiB, chunks of {options.chunk_mib:g} MiB", flush=True)
    rounds = []
    for _ in range(options.rounds):
        rounds.append([run(source, target, n_workers, options) for n_workers in options.workers])
        for n_workers, found in zip(options.workers, rounds[-1], strict=True):
            print(line(n_workers, found, size), flush=True)
    for k, n_workers in enumerate(options.workers[1:], 1):
        for step in STEPS:
            ratios = [runs[0].seconds[step] / runs[k].seconds[step] for runs in rounds]
            print(f"{n_workers} workers, {step}: {statistics.median(ratios):.2f} times as fast")


def line(n_workers, found, size):
    """Return what is told of a run on so many bytes of images."""
    steps = ", ".join(
        f"{step} {seconds:.1f} s ({size / seconds / 2**20:.0f} MiB/s), "
        f"processor {found.cpu_seconds[step]:.1f} s"
        for step, seconds in found.seconds.items()
    )
    memory = f"{found.peak / 2**20:.0f} MiB, {found.before / 2**20:.0f} before"
    return f"{n_workers} worker(s): {steps}; peak memory of a worker {memory}"


if __name__ == "__main__":
    main()
