"""Compare the compiled engine with the reference and the peers, bit for bit, on awkward planes.

    python benchmarks/fuzz_engines.py --cases 1000 --seed 0

runs so many cases for each convention and dtype, portable and with SIMD in turn. Sizes,
distributions, n_bins, masks, NaN, output types and memory layouts are drawn at random. It stops at
the first case whose bits differ.
"""

import argparse
import importlib
import time
import warnings

import numpy as np

from sklearn_histeq._arithmetic.conventions import EQUALIZE, EqualizeRule
from sklearn_histeq._arithmetic.status import EMPTY, INF
from sklearn_histeq._engines import compiled as _compiled
from sklearn_histeq._engines import reference as _reference

PAIRS = [(c, d) for c in ("skimage", "numpy") for d in ("uint8", "uint16", "float32", "float64")]
PAIRS += [("opencv", "uint8"), ("pillow", "uint8")]
PAIRS += [
    (c, d)
    for c in ("skimage", "numpy")
    for d in ("bool", "int8", "int16", "int32", "uint64", "float16")
]
OUTPUTS = ("float32", "float64", "uint8", "uint16", "int16", "float16")
SIZES = ((1, 1), (1, 2), (2, 3), (5, 7), (8, 8), (1, 129), (17, 31), (28, 28), (96, 96), (3, 1000))
LARGE = ((256, 300), (1, 70_001), (512, 512))


def random_reals(rng, n, dtype):
    """Return n finite floats of one of many awkward distributions."""
    kind = rng.integers(15)
    eps, tiny, huge = np.finfo(dtype).eps, np.finfo(dtype).tiny, np.finfo(dtype).max
    x = rng.random(n)
    if kind == 0:
        x = rng.normal(size=n)
    elif kind == 1:  # a byte image as floats
        x = rng.integers(0, 256, n) / 255
    elif kind == 2:  # multiples of a power of two: pixels on edges and centers
        x = rng.integers(-3, 2 ** rng.integers(1, 12), n) / 2.0 ** rng.integers(0, 12)
    elif kind == 3:  # an offset, so that few bits are left
        x = x + 2.0 ** rng.integers(0, 30)
    elif kind == 4:  # a few ulps apart
        x = 1 + eps * rng.integers(0, rng.integers(1, 600), n)
    elif kind == 5:  # subnormal
        x = tiny * eps * rng.integers(0, 2 ** rng.integers(1, 20), n)
    elif kind == 6:  # huge
        x = (2 * x - 1) * huge * rng.choice([1.0, 0.49, 0.25, 1e-3])
    elif kind == 7:  # constant, or two levels
        x = rng.choice(rng.normal(size=2), n)
    elif kind == 8:
        x = np.full(n, rng.normal())
    elif kind == 9:  # signed zeros and a little else
        x = rng.choice([0.0, -0.0, 1e-3, -1e-3], n)
    elif kind == 10:  # edges and centers of the bins of [0, 1], and their neighbours
        x = np.append(rng.integers(0, 513, n - 1), 512) / 512 if n > 1 else x
        x = np.nextafter(x.astype(dtype), rng.choice([-1.0, 1, 3], n).astype(dtype))
    elif kind == 11:  # long tails
        x = np.exp(rng.normal(size=n) * rng.integers(1, 30))
    elif kind == 12:  # any exponent
        x = np.ldexp(x, int(rng.integers(-140 if dtype == np.float32 else -1060, 100)))
    elif kind == 13:  # twelve bits
        x = rng.integers(0, 4096, n) * rng.choice([1.0, 1 / 4095, 0.1])
    with np.errstate(all="ignore"):
        x = np.asarray(x).astype(dtype)
    return np.where(np.isfinite(x), x, dtype.type(0))


def random_levels(rng, n, dtype):
    """Return n integers of one of many awkward distributions."""
    low, high = (
        (0, 1) if dtype == np.bool_ else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    )
    kind = rng.integers(8)
    if kind == 0:
        return rng.integers(
            low, high, n, dtype=np.int64 if high < 2**63 else np.uint64, endpoint=True
        ).astype(dtype)
    width = min(high - low, 2 ** int(rng.integers(0, 18)))
    start = low + int(rng.random() * (high - low - width))
    if kind == 1:
        offsets = rng.choice([0, width], n)
    elif kind == 2:
        offsets = np.full(n, width)
    elif kind == 3:
        offsets = np.minimum(rng.exponential(width / 8 + 1, n), width).astype(np.int64)
    elif kind == 4:  # a step in the CDF
        offsets = np.where(
            rng.random(n) < 0.99, width // 2, rng.integers(0, width, n, endpoint=True)
        )
    else:
        offsets = rng.integers(0, width, n, endpoint=True)
    return (start + offsets.astype(object)).astype(dtype)


def random_planes(rng, dtype, shape):
    """Return planes (n, c, h, w), each of its own distribution; floats may have NaN or inf."""
    planes = np.empty(shape, dtype)
    draw = random_reals if dtype.kind == "f" else random_levels
    n_pixels = shape[2] * shape[3]
    for i, channel in np.ndindex(*shape[:2]):
        planes[i, channel] = draw(rng, n_pixels, dtype).reshape(shape[2:])
    if dtype.kind == "f" and rng.random() < 0.25:
        planes[rng.random(shape) < rng.choice([0.01, 0.3, 1])] = np.nan
    if dtype.kind == "f" and rng.random() < 0.02:
        planes.ravel()[rng.integers(planes.size)] = rng.choice([-np.inf, np.inf])
    return planes


def random_layout(rng, array):
    """Return an array with equal elements that lies differently in memory."""
    kind = rng.integers(8)
    if kind == 0:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    if kind == 1:
        return np.asfortranarray(array)
    if kind == 2:
        return np.repeat(array, 2, axis=3)[..., ::2]
    if kind == 3:
        return array.astype(array.dtype.newbyteorder(">"))
    if kind == 4:
        array = array.copy()
        array.flags.writeable = False
    return array


def random_n_bins(rng, convention):
    """Return a number of bins, or "auto"."""
    if convention in ("opencv", "pillow") or rng.random() < 0.4:
        return "auto"
    choice = rng.random()
    if choice < 0.4:
        return int(rng.integers(1, 300))
    return (
        int(2 ** rng.uniform(0, 16)) if choice < 0.8 else int(rng.choice([1, 2, 255, 256, 65536]))
    )


def random_case(rng, convention, dtype):
    """Return the arguments of `equalize`, but out, for one case."""
    size = LARGE[rng.integers(3)] if rng.random() < 0.01 else SIZES[rng.integers(len(SIZES))]
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 3)), *size)
    planes = random_layout(rng, random_planes(rng, dtype, shape))
    mask = None
    if rng.random() < 0.3:
        mask = rng.random((shape[0], *size)) < rng.choice([0.02, 0.5, 0.98])
    return planes, mask, random_n_bins(rng, convention), convention


def same(a, b):
    """Tell whether two arrays hold the same bits, any NaN being like any other."""
    if a.dtype.kind == "f":
        a, b = np.where(np.isnan(a), a.dtype.type(7), a), np.where(np.isnan(b), b.dtype.type(7), b)
    return a.tobytes() == b.tobytes()


def peer(plane, mask, n_bins, convention):
    """Return the peer's own result for a plane, or None where it has none."""
    if convention == "opencv":
        import cv2

        return None if mask is not None else cv2.equalizeHist(np.ascontiguousarray(plane))
    if convention == "pillow":
        from PIL import Image, ImageOps

        counted = None if mask is None else Image.fromarray(mask)
        return np.asarray(ImageOps.equalize(Image.fromarray(np.ascontiguousarray(plane)), counted))
    if plane.dtype.kind not in "uf" or np.isnan(plane.astype(np.float64)).any():
        return None
    if n_bins != "auto" and plane.dtype.kind == "u":
        plane = plane.astype(np.float64)
    n_bins = 256 if n_bins == "auto" else n_bins
    counted = plane if mask is None else plane[mask]
    try:
        if convention == "skimage":
            from skimage.exposure import equalize_hist

            return equalize_hist(plane, n_bins, mask)
        density, edges = np.histogram(counted, n_bins, density=True)
        cdf = density.cumsum()
        return np.interp(plane, edges[:-1], 255 * cdf / cdf[-1])
    except ValueError:
        return None


def deviates(plane, counted, n_bins, convention):
    """Tell whether a plane is one for which the package differs from its peer on purpose."""
    if counted.size == 0 or counted.min() == counted.max():
        return convention in ("skimage", "numpy") or counted.size == 0
    if convention not in ("skimage", "numpy") or (
        plane.dtype.itemsize < 2 and plane.dtype.kind in "ub"
    ):
        return plane.dtype == np.bool_
    if plane.dtype in (np.float16, np.uint64):
        return True
    n_bins = 256 if n_bins == "auto" else n_bins
    dtype = plane.dtype if plane.dtype.kind == "f" else np.float64
    low, high = counted.min().astype(dtype), counted.max().astype(dtype)
    edges = np.linspace(low, high, n_bins + 1, dtype=dtype)
    centers = ((edges[:-1] + edges[1:]) / 2).astype(np.float64)
    smallest = np.diff(centers).min(initial=1) if np.isfinite(centers).all() else 0
    return not (np.diff(edges) > 0).all() or smallest < 1e-300


def check(planes, mask, n_bins, convention, out_dtype, tally):
    """Compare one case; raise AssertionError where bits differ."""
    single = np.dtype(out_dtype).kind != "f" and np.isnan(planes.astype(np.float64)).any()
    out_dtype = np.float64 if single else out_dtype
    out, expected = (np.empty(planes.shape, out_dtype) for _ in range(2))
    if tally["cases"] % 3 == 0:  # written through strides
        out = np.empty((*planes.shape[:1], *planes.shape[2:], planes.shape[1]), out_dtype)
        out = np.moveaxis(out, -1, 1)
    before = planes.copy()
    rule = EqualizeRule(n_bins, EQUALIZE[convention], "uniform")
    status = _compiled.equalize(planes, mask, out, rule)
    wanted = _reference.equalize(planes, mask, expected, rule)
    assert same(before, planes), "the input was modified"
    assert (status == wanted).all(), f"status {status} != {wanted}"
    for i, channel in np.argwhere((status & (INF | EMPTY)) == 0):
        plane = planes[i, channel].astype(planes.dtype.newbyteorder("="))
        assert same(out[i, channel], expected[i, channel]), "the reference differs"
        counted = plane if mask is None else plane[mask[i]]
        own = EQUALIZE[convention].default_output_dtype(plane.dtype)
        if np.dtype(out_dtype) != own or deviates(plane, counted, n_bins, convention):
            continue
        theirs = peer(plane, None if mask is None else mask[i], n_bins, convention)
        if theirs is not None and np.isfinite(theirs).all():
            tally["peer"] += 1
            assert same(out[i, channel], theirs.astype(own)), "the peer differs"


def run_pair(convention, dtype, n_cases, seed):
    """Run the cases of one convention and dtype; return a tally."""
    rng = np.random.default_rng([seed, *convention.encode(), *dtype.encode()])
    tally = {"cases": 0, "peer": 0, "planes": 0, "referred": 0}
    for number in range(n_cases):
        _compiled.use_simd(number % 3 != 0)
        state = rng.bit_generator.state
        planes, mask, n_bins, convention = random_case(rng, convention, np.dtype(dtype))
        own = EQUALIZE[convention].default_output_dtype(planes.dtype)
        out_dtype = own.name if rng.random() < 0.5 else str(rng.choice(OUTPUTS))
        try:
            check(planes, mask, n_bins, convention, out_dtype, tally)
        except Exception:
            print(
                f"case {number} of {convention} {dtype}: shape {planes.shape}, "
                f"n_bins {n_bins}, out {out_dtype}"
            )
            print(f"mask {mask is not None}, {_compiled.instruction_set()}, rng state {state}")
            raise
        tally["cases"] += 1
        tally["planes"] += planes.shape[0] * planes.shape[1]
    return tally


def main():
    """Run all conventions and dtypes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=300, help="for each convention and dtype")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", default="", help="run pairs that contain this, as 'skimage float32'"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    referred = []
    module = importlib.import_module("sklearn_histeq._engines.compiled.equalize")
    original = module._refer
    module._refer = lambda *arguments: (referred.append(1), original(*arguments))[1]
    for convention, dtype in PAIRS:
        if options.only not in f"{convention} {dtype}":
            continue
        referred.clear()
        start = time.perf_counter()
        tally = run_pair(convention, dtype, options.cases, options.seed)
        seconds = time.perf_counter() - start
        print(
            f"{convention:8} {dtype:8} {tally['cases']:7} cases, {tally['planes']:7} planes, "
            f"{tally['peer']:7} also equal to "
            f"the peer, {len(referred):6} left to the reference, {seconds:6.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
