"""Arrays of PyTorch, CuPy and other libraries of the array API, where scikit-learn dispatches them.

NumPy sees arrays in the memory of the CPU without a copy, and the usual engine works on them. Those
on another device stay there: zeros of the same shape and dtype are checked instead, and the engine
for devices does the work.
"""

from typing import Any, NamedTuple

import numpy as np
import sklearn

from .._arithmetic import namespaces
from .problem import MASK, Argument, X, input_error, input_type_error


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

    def check_same(self, fitted_like, name, method):
        """Refuse this library where `fit` has seen another one, or another device."""
        if self.like is None and isinstance(fitted_like, np.ndarray):
            return
        fitted = describe(fitted_like)
        if self.name != fitted and sklearn.get_config()["array_api_dispatch"]:
            # the first half is scikit-learn's wording
            raise input_error(
                (
                    f"Inputs passed to {name}.{method}() must use the same namespace and the same "
                    "device as those passed to fit(): ",
                    X,
                    f" is an array of {self.name}, but fit has seen one of {fitted}",
                ),
                remedy="Convert X, or fit again.",
            )


NUMPY = Library()


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


def library_of(X):
    """Return the library and the device of an array; NumPy's for what is none."""
    source = source_of(X, None)
    return NUMPY if source is None else source.library


class _Source:
    """An array of the array API, and perhaps its mask."""

    def __init__(self, array, mask):
        name = describe(array)
        if mask is not None:
            _check_same_library(mask, name)
        self._X = _readable(X, array)
        self._mask = None if mask is None else _readable(MASK, mask)
        like = namespaces.empty((0,), np.uint8, self._X)
        self.library = Library(like, name, not namespaces.is_on_cpu(like))
        if self.library.is_remote:
            _check_has_doubles(like)

    def stand_ins(self):
        """Return views of the arrays, or zeros of their shape and dtype."""
        view = _zeros_like if self.library.is_remote else np.from_dlpack
        return view(self._X), None if self._mask is None else view(self._mask)

    def images_of(self, images):
        """Return checked images with the pixels of the array."""
        images = images._replace(library=self.library)
        if not self.library.is_remote:
            return images
        xp, mask = namespaces.namespace(self._X), None
        if self._mask is not None:
            mask = xp.reshape(self._mask, images.mask.shape)
        planes = images.layout.planes_of(xp.reshape(self._X, images.X.shape))
        return images._replace(planes=planes, mask=mask)


def _check_same_library(mask, expected):
    """Refuse a mask of another library or device than X, of which the description is expected."""
    is_array = isinstance(mask, np.ndarray) or namespaces.is_foreign(mask)
    found = describe(mask) if is_array else type(mask).__name__
    if found != expected:
        raise input_error(
            (MASK, f" is an array of {found}, but X is one of {expected}: expected the same "
             "library and device"),
            remedy="Bring the mask there: torch.asarray(mask, device=X.device) in PyTorch.",
        )  # fmt: skip


def _readable(argument: Argument, array):
    """Return an array that can be read, with its numbers as they are meant."""
    if hasattr(array, "resolve_neg"):  # PyTorch: it would be exported without its minus sign
        array = array.resolve_neg()
    dtype = str(array.dtype).rpartition(".")[2]
    try:
        np.dtype(dtype)
    except TypeError:
        raise input_error(
            (argument, f" has dtype {dtype}"),
            "bool, integers or real floats that NumPy has, too",
            "Convert it: float32 holds every value of bfloat16.",
        ) from None
    try:
        array.__dlpack_device__()
        array.__dlpack__()
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = type(array)
        raise input_type_error(
            (
                argument,
                f" is a {kind.__module__}.{kind.__name__} whose pixels cannot be read ({error}). "
                "Expected a dense array with memory",
            ),
            remedy="Equalization has no gradient: pass X.detach() of a tensor that requires one, "
            "and X.to_dense() of a sparse tensor.",
        ) from error
    return array


def _check_has_doubles(like):
    """Refuse a device without double precision, in which all values are computed."""
    try:
        namespaces.empty((0,), np.float64, like)
    except (TypeError, ValueError, RuntimeError):
        raise input_error(
            (X, f" is an array of {describe(like)}, which has no float64"),
            "a device that computes in double precision",
            "Move the images to the CPU first: X.cpu().",
        ) from None


def _zeros_like(array):
    """Return zeros of an array's shape and dtype, which take no memory."""
    return np.broadcast_to(np.zeros((), namespaces.dtype_of(array)), tuple(array.shape))
