"""The functions of the library that an array belongs to: NumPy, or by array_api_compat.

The only module that imports array_api_compat, which scikit-learn brings, and it does so when the
first array of another library comes.
"""

from functools import lru_cache

import numpy as np

NUMPYS = (np.ndarray, np.generic)
# PyTorch does not compare or sort unsigned integers of more than 8 bits.
_UINT64 = np.dtype(np.uint64)
_LEAST = -(2**63)


@lru_cache(maxsize=1)
def _compat():
    """Return array_api_compat."""
    try:
        from sklearn.externals import array_api_compat as vendored
    except ImportError:  # scikit-learn 1.6 asks users to install it
        import array_api_compat

        return array_api_compat
    return vendored


def is_foreign(value):
    """Return whether a value is an array of the array API that is not NumPy's."""
    return not isinstance(value, NUMPYS) and _compat().is_array_api_obj(value)


def namespace(array):
    """Return the functions of the array API for an array: a module."""
    return np if isinstance(array, NUMPYS) else _compat().array_namespace(array)


def device(array):
    """Return the device of an array that is not NumPy's."""
    return _compat().device(array)


def is_on_cpu(array):
    """Return whether NumPy can see the memory of an array that is not NumPy's."""
    cpu = _emulated_cpu(namespace(array))
    if cpu is not None:
        return device(array) == cpu
    return array.__dlpack_device__()[0] == 1  # kDLCPU


def _emulated_cpu(xp):
    """Return array_api_strict's CPU, beside which it emulates other devices; None elsewhere."""
    return xp.Device("CPU_DEVICE") if _compat().is_array_api_strict_namespace(xp) else None


def dtype_of(array):
    """Return NumPy's dtype of the same name as an array's."""
    return array.dtype if isinstance(array.dtype, np.dtype) else _numpy_dtype(array.dtype)


@lru_cache(maxsize=64)
def _numpy_dtype(dtype):
    return np.dtype(str(dtype).rpartition(".")[2])


def astype(array, dtype):
    """Return an array in the dtype of another library that has the name of NumPy's."""
    if isinstance(array, NUMPYS):
        return array.astype(dtype, copy=False)
    xp, name = namespace(array), np.dtype(dtype).name
    if name == "float16" and dtype_of(array) == np.float64:
        return _as_half(xp, array)
    return xp.astype(array, getattr(xp, name), copy=False)


def _as_half(xp, doubles):
    """Return doubles as float16, rounded once: PyTorch rounds to single precision first."""
    singles = xp.astype(doubles, xp.float32)
    rounded = xp.astype(singles, xp.float64)
    towards = xp.where(rounded < doubles, xp.inf, -xp.inf)
    towards = xp.nextafter(singles, xp.astype(towards, xp.float32))
    near, other = (xp.astype(found, xp.float16) for found in (singles, towards))
    distances = (xp.abs(doubles - xp.astype(found, xp.float64)) for found in (near, other))
    is_farther = next(distances) > next(distances)
    return xp.where(is_farther & (rounded != doubles), other, near)


def for_doubles(array):
    """Return an array to compute with doubles; those of NumPy are cast while it computes."""
    return array if isinstance(array, NUMPYS) else astype(array, np.float64)


def empty(shape, dtype, like):
    """Return a new array in the library and on the device of another."""
    if isinstance(like, NUMPYS):
        return np.empty(shape, dtype)
    xp = namespace(like)
    return xp.empty(shape, dtype=getattr(xp, np.dtype(dtype).name), device=device(like))


def zeros(shape, dtype, like):
    """Return zeros in the library and on the device of another array."""
    array = empty(shape, dtype, like)
    array[...] = 0
    return array


def asarray(array, like):
    """Return an array of NumPy in the library and on the device of another."""
    if isinstance(like, NUMPYS):
        return array
    array = np.require(array, requirements=["C", "W"])  # PyTorch warns of others
    return namespace(like).asarray(array, device=device(like))


def to_numpy(array):
    """Return an array as NumPy's; what lies on another device is copied."""
    if isinstance(array, NUMPYS):
        return array
    cpu = _emulated_cpu(namespace(array))
    return np.from_dlpack(_compat().to_device(array, "cpu" if cpu is None else cpu))


def as_signed(array):
    """Return integers as int64 in the same order, of which every library knows all operations.

    Levels of uint64 are moved by 2**63, and bool becomes uint8. Other arrays, and those of NumPy,
    are returned as they are.
    """
    dtype = dtype_of(array)
    if dtype == np.bool_ and not isinstance(array, NUMPYS):
        return astype(array, np.uint8)
    if isinstance(array, NUMPYS) or dtype.kind != "u" or dtype.itemsize == 1:
        return array
    signed = astype(array, np.int64)
    return namespace(array).bitwise_xor(signed, _LEAST) if dtype == _UINT64 else signed


def from_signed(array, dtype):
    """Undo `as_signed` of an array of a dtype."""
    if isinstance(array, NUMPYS) or dtype_of(array) == dtype:
        return array
    if dtype == _UINT64:
        array = namespace(array).bitwise_xor(array, _LEAST)
    return astype(array, dtype)


def is_outside(levels, low, high):
    """Return where integers are below or above two levels."""
    if not isinstance(levels, NUMPYS):
        moved = -_LEAST if dtype_of(levels) == _UINT64 else 0
        low, high, levels = max(low - moved, _LEAST), high - moved, as_signed(levels)
        high = min(high, -_LEAST - 1)
        levels = astype(levels, np.int64)
    return (levels < low) | (levels > high)


def on_cpu(function, planes, mask, out, rule):
    """Return function(planes, mask, out, rule), which takes NumPy arrays, by copies on the CPU."""
    counted = None if mask is None else to_numpy(mask)
    values = np.empty(out.shape, dtype_of(out))
    status = function(to_numpy(planes), counted, values, rule)
    out[...] = asarray(values, out)
    return status
