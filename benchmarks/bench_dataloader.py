"""Compare where to equalize for a network: before training, per image in a Dataset, or per batch.

    python benchmarks/bench_dataloader.py [--images 4000] [--side 96] [--batch 64] [--rounds 5]

Prints the milliseconds that a DataLoader of PyTorch takes for an epoch of gray uint8 images as
float32, for each place and number of workers, and how many times as long that is as the first
loader takes. Both are medians of rounds, which measure all lines in turn. Workers stay between
epochs, and the first epoch of each loader, which starts them, is not counted. The line "equalize
once" is the transform that "before training" needs once.
"""

import argparse
import statistics
from functools import partial

import numpy as np
import torch
from _machine import time_of
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sklearn_histeq import HistogramEqualizer

EQUALIZER = HistogramEqualizer(dtype="float32")


class EqualizedImages(Dataset):
    """Images that are equalized one by one, when they are asked for."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return torch.from_numpy(EQUALIZER.transform(self.X[i : i + 1])[0]), self.y[i]


def collate(batch):
    """Return a batch of images, which are equalized together, and their labels."""
    images, labels = zip(*batch, strict=True)
    return torch.from_numpy(EQUALIZER.transform(np.stack(images))), torch.tensor(labels)


def loaders(X, y, n_workers, batch_size):
    """Return a loader per place."""
    common = {"batch_size": batch_size, "shuffle": True, "num_workers": n_workers}
    common["persistent_workers"] = n_workers > 0
    before = TensorDataset(torch.from_numpy(EQUALIZER.transform(X)), torch.from_numpy(y))
    return {
        "before training": DataLoader(before, **common),
        "per image, in the dataset": DataLoader(EqualizedImages(X, y), **common),
        "per batch, in collate_fn": DataLoader(
            list(zip(X, y, strict=True)), collate_fn=collate, **common
        ),
    }


def epoch(loader):
    """Load all batches once."""
    for _ in loader:
        pass


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (options.images, 1, options.side, options.side)
    X, y = rng.integers(0, 256, shape, dtype=np.uint8), np.arange(options.images) % 10
    measured = {"equalize once": lambda: EQUALIZER.transform(X)}
    for n_workers in options.workers:
        for place, loader in loaders(X, y, n_workers, options.batch).items():
            measured[f"{n_workers} workers, {place}"] = partial(epoch, loader)
    for function in measured.values():
        function()
    rounds = [[time_of(f) for f in measured.values()] for _ in range(options.rounds)]
    for i, line in enumerate(measured):
        seconds = statistics.median(times[i] for times in rounds)
        times_first = statistics.median(times[i] / times[1] for times in rounds)
        print(f"{line}: {1000 * seconds:.0f} ms, {times_first:.2f} times as long")


if __name__ == "__main__":
    main()
