"""Compare tensors with NumPy arrays, kornia and torchvision in one run.

    python benchmarks/bench_array_api.py [--rounds 9] [--threads 1]

Equalizes images of uint8 and float32, on the CPU and, where PyTorch finds one, on a GPU. kornia
gets floats in [0, 1] and torchvision uint8, since they are made for these. Both have Pillow's
arithmetic, as has the package with convention="pillow". Each round runs all in turn. The script
prints median milliseconds (of the processor with one thread, otherwise of the clock) and the median
ratio to the package's default convention on tensors. It names libraries that are not installed and
leaves them out.
"""

import argparse
import importlib
import os
import statistics
import time

os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import sklearn
import torch

from sklearn_histeq import HistogramEqualizer

SHAPES = (1, 1, 96, 96), (1000, 1, 96, 96), (100, 3, 512, 512)


def candidates(X, n_threads):
    """Return the functions to measure, by name; X is an array of NumPy."""
    equalizer = HistogramEqualizer(n_jobs=n_threads)
    pillow = HistogramEqualizer(convention="pillow", n_jobs=n_threads)
    kornia, torchvision = optional("kornia"), optional("torchvision.transforms.v2.functional")
    found = {}
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    for device in devices:
        tensor = torch.asarray(X, device=device)
        found[f"tensor, {device}"] = equalizer.fit_transform, tensor
        if X.dtype == np.uint8:
            found[f"pillow, {device}"] = pillow.fit_transform, tensor
        if kornia:
            unit = tensor.to(torch.float32) / 255 if X.dtype == np.uint8 else tensor
            found[f"kornia, {device}"] = kornia.enhance.equalize, unit
        if torchvision and X.dtype == np.uint8:
            found[f"torchvision, {device}"] = torchvision.equalize, tensor
    found["NumPy"] = equalizer.fit_transform, X
    return found


def optional(name):
    """Return a module, or None where it is not installed, or made for another PyTorch."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError):
        return None


def seconds(function, X, n_threads):
    """Return how long a call takes one thread, or until all threads or the GPU have finished."""
    is_cuda = isinstance(X, torch.Tensor) and X.is_cuda
    clock = time.perf_counter if is_cuda or n_threads > 1 else time.process_time
    start = clock()
    function(X)
    if is_cuda:
        torch.cuda.synchronize()
    return clock() - start


def measure(X, n_rounds, n_threads):
    """Print the medians of all candidates on images."""
    found = candidates(X, n_threads)
    times = {name: [] for name in found}
    for round_number in range(n_rounds + 1):
        for name, (function, images) in found.items():
            if name.startswith("kornia, cpu") and round_number > 3:
                continue  # seconds each
            taken = seconds(function, images, n_threads)
            if round_number:  # the first warms up
                times[name].append(taken)
    print(f"\n{X.shape} {X.dtype}")
    for name, of_name in times.items():
        ours = times[f"tensor, {'cuda' if 'cuda' in name else 'cpu'}"]
        ratio = statistics.median(b / a for a, b in zip(ours, of_name, strict=False))
        print(f"  {name:18} {1000 * statistics.median(of_name):10.3f} ms   {ratio:7.2f}")


def main():
    """Measure all shapes and types."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in ("kornia", "torchvision"):
        if not optional(name):
            print(f"{name} is not installed and is left out")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    print(f"PyTorch {torch.__version__}, GPU: {gpu}, {options.threads} thread(s) of the CPU")
    rng = np.random.default_rng(0)
    with sklearn.config_context(array_api_dispatch=True):
        for shape in SHAPES:
            X = rng.integers(0, 256, shape, dtype=np.uint8)
            for images in (X, (X / np.float32(255)).astype(np.float32)):
                measure(images, options.rounds, options.threads)


if __name__ == "__main__":
    main()
