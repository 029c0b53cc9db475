"""Arrays of PyTorch, CuPy and other libraries of the array API, where scikit-learn dispatches them.

NumPy sees arrays in the memory of the CPU without a copy, and the usual engine works on them. Those
on another device stay there: zeros of the same shape and dtype are checked instead, and the engine
`array_api` does the work.
"""

from typing import Any, NamedTuple

import numpy as np
import sklearn

from .. import _validation
from .._arithmetic import namespaces


class Library(NamedTuple):
    """The library and the device of images, to which results go back.

    Attributes
    ----------
    like : array or None
        An array without pixels in that library, on that device; None: NumPy's.
    name : str
        The names of both.
    is_remote : bool
        Whether the pixels lie where NumPy cannot see them.
    """

    like: Any = None
    name: str = "numpy"
    is_remote: bool = False

    def deliver(self, array):
        """Return an array of NumPy in this library; one that is there already as it is."""
        if self.like is None or not isinstance(array, np.ndarray):
            return array
        return namespaces.asarray(array, self.like)

    def empty(self):
        """Return an array without pixels."""
        return np.empty(0, np.uint8) if self.like is None else self.like

    def check_same(self, like, estimator, method):
        """Refuse this library where `fit` has seen another one, or another device."""
        if self.like is None and isinstance(like, np.ndarray):
            return
        theirs = describe(like)
        if self.name != theirs and sklearn.get_config()["array_api_dispatch"]:
            _validation.refuse_other_library(self.name, theirs, estimator, method)


def describe(array):
    """Return the names of an array's library and device, for comparisons and messages."""
    if isinstance(array, np.ndarray):
        return "numpy"
    name = namespaces.namespace(array).__name__.rpartition("array_api_compat.")[2]
    return f"{name} on {namespaces.device(array)}"


def source_of(X, mask):
    """Return the source of an array of the array API, or None."""
    if isinstance(X, np.ndarray) or not sklearn.get_config()["array_api_dispatch"]:
        return None
    return _Source(X, mask) if namespaces.is_foreign(X) else None


class _Source:
    """An array of the array API, and perhaps its mask."""

    def __init__(self, X, mask):
        name = describe(X)
        if mask is not None:
            is_array = isinstance(mask, np.ndarray) or namespaces.is_foreign(mask)
            found = describe(mask) if is_array else type(mask).__name__
            _validation.check_library_of_mask(found, name)
        self._X = _readable("X", X)
        self._mask = None if mask is None else _readable("mask", mask)
        like = namespaces.empty((0,), np.uint8, self._X)
        self._library = Library(like, name, not namespaces.is_on_cpu(like))
        if self._library.is_remote:
            _check_has_doubles(like)

    def stand_ins(self):
        """Return views of the arrays, or zeros of their shape and dtype."""
        view = _zeros_like if self._library.is_remote else np.from_dlpack
        return view(self._X), None if self._mask is None else view(self._mask)

    def images_of(self, images):
        """Return checked images with the pixels of the array."""
        images = images._replace(library=self._library)
        if not self._library.is_remote:
            return images
        xp, mask = namespaces.namespace(self._X), None
        if self._mask is not None:
            mask = xp.reshape(self._mask, images.mask.shape)
        planes = images.estimator._as_planes(xp.reshape(self._X, images.X.shape))
        return images._replace(planes=planes, mask=mask)


def _readable(name, array):
    """Return an array that can be read, with its numbers as they are meant."""
    if hasattr(array, "resolve_neg"):  # PyTorch: it would be exported without its minus sign
        array = array.resolve_neg()
    dtype = str(array.dtype).rpartition(".")[2]
    _validation.check_dtype_of_library(name, dtype)
    try:
        array.__dlpack_device__()
        array.__dlpack__()
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        _validation.refuse_unreadable(name, type(array), error)
    return array


def _check_has_doubles(like):
    """Refuse a device without double precision, in which all values are computed."""
    try:
        namespaces.empty((0,), np.float64, like)
    except (TypeError, ValueError, RuntimeError):
        _validation.refuse_device(describe(like))


def _zeros_like(array):
    """Return zeros of an array's shape and dtype, which take no memory."""
    return np.broadcast_to(np.zeros((), namespaces.dtype_of(array)), tuple(array.shape))
