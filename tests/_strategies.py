"""Planes, images and masks of every kind, made by hypothesis.

Hypothesis draws what matters (dtype, shape, range, special values, a seed); the seed fills the
pixels, so that planes have many of them without thousands of draws.
"""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

INTEGERS = [np.dtype(order + kind) for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")
            for order in ("<", ">")]  # fmt: skip
FLOATS = [np.dtype(order + kind) for kind in ("f2", "f4", "f8") for order in ("<", ">")]
BOOL = np.dtype(bool)
ALL = [BOOL, *INTEGERS, *FLOATS]
# Ranges of bins that are one number or infinite in single precision, or overflow in 16 bits.
BEYOND_SINGLE = [
    (-3, -3 + 1e-10),
    (0.5, 0.5 + 1e-10),
    (2, 2 + 1e-10),
    (-1e308, 1e308),
    (-1e308, -1e300),
]
PLAIN = [np.dtype(kind) for kind in ("u1", "u2", "i2", "f4", "f8")]

# For laws that several other tests would miss, too, or whose examples take long.
few_examples = settings(max_examples=max(2, settings.default.max_examples // 4))

seeds = st.integers(0, 2**32 - 1)
bin_numbers = st.one_of(st.integers(1, 300), st.sampled_from([1, 2, 3, 256, 1000, 65535, 65536]))
n_bins = st.one_of(st.just("auto"), bin_numbers)


def shapes(max_side=12):
    """Sides of planes; not one pixel wide, which gives a warning, unless they are one pixel."""
    side = st.integers(2, max_side)
    return st.one_of(st.tuples(side, side), st.just((1, 1)))


# --- integers -------------------------------------------------------------------------------------


def _fill_integers(draw, rng, dtype, shape):
    info = np.iinfo(dtype)
    low = draw(st.one_of(st.integers(info.min, info.max), st.sampled_from([info.min, 0, 77])))
    spread = draw(st.sampled_from([0, 1, 3, 40, 255, 3000, info.max]))
    high = min(low + spread, info.max)
    return rng.integers(low, high, shape, dtype=dtype.newbyteorder("="), endpoint=True)


def _few_integers(draw, rng, dtype, shape):
    info = np.iinfo(dtype)
    levels = draw(st.lists(st.integers(info.min, info.max), min_size=1, max_size=4))
    return rng.choice(np.array(levels, dtype=dtype.newbyteorder("=")), shape)


def _neighbours(draw, rng, dtype, shape):
    """Levels that differ by one, as high up as the type goes."""
    top = np.iinfo(dtype).max
    steps = rng.integers(0, draw(st.integers(1, 20)), shape).tolist()
    return np.array([[top - step for step in row] for row in steps], dtype.newbyteorder("="))


# --- floats ---------------------------------------------------------------------------------------


def _finite(dtype):
    return st.floats(allow_nan=False, allow_infinity=False, width=8 * dtype.itemsize)


def _few_floats(draw, rng, dtype, shape):
    levels = draw(st.lists(_finite(dtype), min_size=1, max_size=4))
    return rng.choice(np.array(levels), shape)


def _uniform_floats(draw, rng, dtype, shape):
    """A range anywhere on the scale of the type, about zero or beside it."""
    info = np.finfo(dtype)
    width = 2.0 ** draw(st.integers(int(info.minexp), int(info.maxexp) - 2))
    return width * (rng.random(shape) - draw(st.sampled_from([0.0, 0.5, 1.0, 1.75])))


def _unit_floats(draw, rng, dtype, shape):
    return rng.random(shape) ** draw(st.sampled_from([1, 4]))


def _ulps(draw, rng, dtype, shape):
    """A few of the type's steps around one value: no room for many bins."""
    info = np.finfo(dtype)
    base = draw(st.sampled_from([1.0, 0.1, -3.0, float(info.smallest_normal), 0.6 * info.max]))
    steps = rng.integers(0, draw(st.sampled_from([1, 2, 5, 300])), shape, endpoint=True)
    return base + steps * np.spacing(np.array(base, dtype=dtype)).astype(np.float64)


def _thresholds(draw, rng, dtype, shape):
    """Edges and centers of bins, and the numbers next to them: where estimates are off by one."""
    n_bins = draw(st.sampled_from([256, 256, 7, 100]))
    low, high = draw(st.sampled_from([(0.0, 1.0), (0.1, 0.7), (-3.3, 9.1), (0.0, 255.0)]))
    return next_to_thresholds(rng, dtype, shape, n_bins, low, high)


def next_to_thresholds(rng, dtype, shape, n_bins, low, high):
    native = dtype.newbyteorder("=")
    edges = np.linspace(low, high, 2 * n_bins + 1, dtype=native)  # every other one a center
    values = rng.choice(edges, shape)
    for towards in (low, high):
        values = np.where(
            rng.random(shape) < 0.3, np.nextafter(values, native.type(towards)), values
        )
    values.flat[:2] = edges[[0, -1]][: values.size]  # so that the bins are those
    return values


def _subnormal(draw, rng, dtype, shape):
    span = draw(st.sampled_from([1, 2, 300, 100_000]))
    steps = rng.integers(-span // 2, span, shape)
    return steps * np.float64(np.finfo(dtype).smallest_subnormal)


def _huge(draw, rng, dtype, shape):
    """Ranges that overflow where they are subtracted, or whose edges do where they are added."""
    largest = float(np.finfo(dtype).max)
    low = draw(st.sampled_from([-1.0, -0.5, 0.0, 0.6]))
    return largest * low + (largest - largest * low / 2 - largest * low / 2) * rng.random(shape)


def _any_bits(draw, rng, dtype, shape):
    bits = rng.integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8)
    values = bits.view(dtype.newbyteorder("="))[..., 0]
    return np.where(np.isfinite(values), values, 0)


INTEGER_FILLS = [_fill_integers, _few_integers, _neighbours]
FLOAT_FILLS = [
    _unit_floats, _uniform_floats, _few_floats, _thresholds, _ulps, _subnormal, _huge, _any_bits,
]  # fmt: skip


def _fill_bool(draw, rng, dtype, shape):
    return rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))


def fills_of(dtype):
    return {"b": [_fill_bool], "f": FLOAT_FILLS}.get(dtype.kind, INTEGER_FILLS)


def _fill(draw, dtype, shape, fills=None):
    rng = np.random.default_rng(draw(seeds))
    fill = draw(st.sampled_from(fills or fills_of(dtype)))
    # 2-D whatever the shape is: fills make planes. Errors of the cast (float16 is small) become
    # the largest finite value: an image has no infinity.
    values = fill(draw, rng, dtype, shape)
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        with np.errstate(under="ignore"):
            return np.clip(values, -limit, limit).astype(dtype)
    return values.astype(dtype)


# --- planes, images, masks ------------------------------------------------------------------------


@st.composite
def planes(draw, dtypes=ALL, max_side=12, fills=None):
    """One 2-D plane, without NaN."""
    return _fill(draw, draw(st.sampled_from(dtypes)), draw(shapes(max_side)), fills)


@st.composite
def regular_planes(draw, dtypes=PLAIN, max_side=24):
    """A plane that every peer takes: 8 or 16 bits, or floats in an ordinary range."""
    dtype = draw(st.sampled_from(dtypes))
    return _fill(draw, dtype, draw(shapes(max_side)), [_unit_floats] if dtype.kind == "f" else None)


@st.composite
def holes(draw, plane):
    """The plane, perhaps with NaN in some of its pixels, never in all of them."""
    share = draw(st.sampled_from([0.0, 0.0, 0.2, 0.8]))
    if plane.dtype.kind != "f" or share == 0:
        return plane
    holed = plane.copy()
    holed[_missing(draw, plane.shape, share)] = np.nan
    return holed


@st.composite
def masked(draw, planes):
    """A plane and a mask, which may be None."""
    plane = draw(planes)
    return plane, draw(masks(plane))


def _missing(draw, shape, share):
    missing = np.random.default_rng(draw(seeds)).random(shape) < share
    missing.flat[draw(st.integers(0, missing.size - 1))] = False
    return missing


@st.composite
def masks(draw, plane):
    """None, or a mask in which at least one pixel that is not NaN counts."""
    share = draw(st.sampled_from([None, 0.1, 0.5, 0.9]))
    if share is None:
        return None
    mask = np.random.default_rng(draw(seeds)).random(plane.shape) >= share
    present = np.flatnonzero(~np.isnan(plane)) if plane.dtype.kind == "f" else range(plane.size)
    mask.flat[draw(st.sampled_from(list(present)))] = True
    return mask


@st.composite
def images(draw, dtypes=ALL, max_n=3, max_c=3, max_side=8):
    """Images of shape (n, c, h, w), every plane filled in a way of its own."""
    dtype = draw(st.sampled_from(dtypes))
    n, c = draw(st.integers(1, max_n)), draw(st.integers(1, max_c))
    shape = draw(shapes(max_side))
    filled = [[draw(holes(_fill(draw, dtype, shape))) for _ in range(c)] for _ in range(n)]
    return np.array(filled, dtype=dtype)  # (n, c, h, w)
