"""Check images and lay them out as planes; everything that takes X calls `read`.

No pixel is read here. Engines find what is wrong with pixels while they work: see `pixel_errors`.
"""

import numbers
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array

from .._arithmetic import namespaces
from . import array_api, dask
from .array_api import NUMPY, Library
from .layout import Layout
from .masks import as_true_bool, check_mask, mask_shape
from .parameters import IN_A_GRID, shape_of
from .pixel_errors import ALL_IMAGES, Numbering
from .problem import MASK, Setting, input_error, input_type_error
from .problem import X as _X


class Images(NamedTuple):
    """Checked images: an array, its planes and its mask, all views of the user's arrays."""

    X: np.ndarray  # as the user laid it out; zeros of its shape where it is no array of NumPy's
    planes: Any  # (n, c, *spatial), NumPy's or of the library where the pixels lie; zeros for dask
    mask: Any  # (n, *spatial) likewise, or None
    layout: Layout
    library: Library = NUMPY  # where results go
    numbering: Numbering = ALL_IMAGES
    chunks: Any = None  # `dask.Chunks` of a dask array, whose pixels are still to be computed

    @property
    def n_images(self):
        """The number of images; None for a dask array that does not know it yet."""
        return len(self.X) if self.chunks is None else self.chunks.n_images

    def empty(self, dtype):
        """Return a new array of images like these, in C order, and its planes."""
        array = namespaces.empty(self.X.shape, dtype, self.planes)
        return array, self.layout.planes_of(array)


def read(X, mask, layout, name=None, row_shape=None):
    """Return checked images.

    Parameters
    ----------
    X, mask : array-likes
        As the estimators' `transform` takes them.
    layout : Layout
    name : str or None
        What asks for X, for errors.
    row_shape : tuple of ints or None
        The shape of the images that rows are; rows of another length stay as they are.
    """
    X, mask, source = _stand_in(X, mask)
    X = check_images(X, layout.spatial_dims, name)
    if row_shape is not None and X.ndim == 2 and X[0].size == np.prod(row_shape):
        X = X.reshape(len(X), *row_shape)
    images = lay_out(X, mask, layout)
    return images if source is None else source.images_of(images)


def read_in_memory(X, mask, layout):
    """Return checked images whose pixels NumPy sees: others are computed, or copied to the CPU."""
    images = read(np.asarray(X) if dask.is_dask(X) else X, mask, layout)
    if not images.library.is_remote:
        return images
    mask = None if images.mask is None else namespaces.to_numpy(images.mask)
    return images._replace(planes=namespaces.to_numpy(images.planes), mask=mask)


def lay_out(X, mask, layout, numbering=ALL_IMAGES):
    """Return a checked array with its planes and its mask."""
    layout.check_geometry(X)
    planes = layout.planes_of(X)
    layout.check_color(X, planes)
    if mask is not None:
        checked = check_mask(mask, mask_shape(X, planes), X.shape)
        mask = checked.reshape(len(planes), *planes.shape[2:])
    return Images(X, planes, mask, layout, numbering=numbering)


def _stand_in(X, mask):
    """Return X, mask and None; for other arrays than NumPy's stand-ins of both, and their source.

    Stand-ins are arrays of NumPy: views of the pixels, or zeros of the same shape and dtype, which
    take no memory. They are checked and laid out like any other array. Then
    `source.images_of(images)` returns the images to work on.
    """
    if type(X) is not np.ndarray:
        for container in (dask, array_api):
            source = container.source_of(X, mask)
            if source is not None:
                return *source.stand_ins(), source
    return X, mask, None


def check_images(X, spatial_dims, name=None):
    """Return X as a numeric array of rows or images with at least one pixel."""
    is_ready = type(X) is np.ndarray and X.dtype.kind in "iuf" and X.dtype.itemsize <= 8
    if is_ready and X.size and X.ndim in (2, spatial_dims + 1, spatial_dims + 2):
        return X  # check_array would take 30 us
    _refuse_masked_arrays(X)
    if type(X).__module__.startswith("pandas"):
        X = _of_pandas(X)
    _refuse_files(X)
    X = _as_one_array(X)
    if getattr(getattr(X, "dtype", None), "kind", "") in ("c", "V"):
        as_real(X)
    if isinstance(X, numbers.Number) or getattr(X, "ndim", 2) == 0:
        _check_n_dimensions(np.asarray(X), spatial_dims)
    X = check_array(
        X,
        allow_nd=True,
        dtype="numeric",
        ensure_all_finite=False,
        ensure_2d=False,
        estimator=name,
        input_name="X",
    )
    _check_n_dimensions(X, spatial_dims)
    if X.size == 0:  # check_array has refused empty rows and an empty batch
        raise input_error((_X, f" has shape {X.shape}: 0 pixels per image"), "at least 1")
    return as_true_bool(as_real(X))


def _refuse_masked_arrays(X):
    """Refuse numpy.ma arrays, because their mask would be ignored."""
    parts = X if isinstance(X, (list, tuple)) else [X]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise input_type_error(
            (_X, " is a numpy.ma.MaskedArray"),
            "a plain array: its mask would be ignored",
            "Pass X.data, and mask=~numpy.ma.getmaskarray(X) (True where a pixel counts).",
        )


def _of_pandas(X):
    """Return a column, or a frame of integers that pandas stores in types of its own, as an array.

    scikit-learn makes floats of the latter, which have bins where integers have levels.
    """
    if getattr(X, "ndim", 2) == 1:
        return X.to_numpy()  # perhaps of arrays
    dtypes = getattr(X, "dtypes", ())
    kinds = {each.kind for each in dtypes if not isinstance(each, np.dtype) or each.kind == "O"}
    if not kinds or not kinds <= set("biuO") or X.isna().to_numpy().any():
        return X
    return X.to_numpy()


def _refuse_files(X):
    """Refuse names of files, an archive that was opened and not read, and what holds no images."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise input_error(
            (_X, f" is {X!r}"),
            "an array of images",
            "Read the file first: numpy.load for .npy, skimage.io.imread for a picture "
            "file (and add an axis: image[None]).",
        )
    if isinstance(X, np.lib.npyio.NpzFile):
        raise input_error(
            (_X, f" is an open .npz file with the arrays {', '.join(X.files)}"),
            "one array",
            f"Take it out first: X[{next(iter(X.files), 'name')!r}].",
        )
    is_container = isinstance(X, (dict, set, Iterator)) and not hasattr(X, "shape")  # not sparse
    if X is None or is_container:
        raise input_type_error(
            (_X, " is None" if X is None else f" is of type {type(X).__name__}"),
            "an array of images",
            "Make one array of the images, which need one shape: numpy.stack(list(X)).",
        )
    is_flat = isinstance(X, (list, tuple)) or getattr(X, "ndim", 0) == 1
    if is_flat and len(X) and isinstance(X[0], (str, bytes, os.PathLike)):
        raise input_error(
            (_X, f" is a list of file names, of which the first is {str(X[0])!r}"),
            "an array of images",
            "Read the files first: numpy.stack([skimage.io.imread(path) for path in X]); colour "
            "images then need channel_axis=-1.",
        )


def _as_one_array(X):
    """Return a list of PIL images, arrays or nested lists as one array of one shape."""
    if hasattr(X, "getbands"):
        raise input_error(
            (_X, " is one PIL image"),
            "an array of images",
            "Pass numpy.asarray(X)[None], and set channel_axis=-1 if it is in colour.",
        )
    is_object = isinstance(X, np.ndarray) and X.dtype == object
    if not (is_object or isinstance(X, (list, tuple))) or len(X) == 0:
        return X
    if is_object and X.ndim > 1:
        return _of_objects(X)
    X = [array_of_pillow(image, _X) if hasattr(image, "getbands") else image for image in X]
    shapes = [shape_of(image) for image in X]
    if None in shapes:
        raise input_error(
            (_X, " is a list of images whose rows differ in length"),
            "one shape for all rows and images",
        )
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            came = f" is a list of images of different shapes: {shapes[0]} in image 0, {shape} in "
            raise input_error(
                (_X, f"{came}image {i}"),
                "one shape",
                "Resize or crop them first (skimage.transform.resize).",
            )
    return _of_objects(np.stack(X)) if shapes[0] else X


def _of_objects(X):
    """Return integers that are stored as objects as integers, which have levels and not bins."""
    if X.dtype != object:
        return X
    if X.size and np.ndim(X.flat[0]):
        raise input_error(
            (_X, f" of shape {X.shape} contains arrays, not numbers"),
            "one array of numbers",
            "Make one array of the images, which need one shape: numpy.stack(df['image']) for the "
            "column 'image' of a data frame df.",
        )
    found = np.array(X.tolist())
    return found if found.dtype.kind in "biu" else X


LAYOUTS = {
    2: "rows (n, n_pixels), images (n, h, w), or images with channels (n, c, h, w) or (n, h, w, c)",
    3: "rows (n, n_pixels), volumes (n, d, h, w), or volumes with channels (n, c, d, h, w) or "
    "(n, d, h, w, c)",
}
PILLOW_MODES = ("L", "I;16", "I", "F", "1", "RGB", "RGBA", "I;16L", "I;16B", "I;16N")


def array_of_pillow(image, argument):
    """Return an image of PIL as an array, where its numbers are intensities."""
    if getattr(image, "mode", "L") not in PILLOW_MODES:
        to = "RGBA" if image.mode in ("PA", "La", "LA", "RGBa") else "RGB"
        why = "its channels are not those of gray or RGB images"
        if image.mode in ("P", "PA"):
            why = "its numbers are positions in a palette, not brightness"
        has, it, convert = " is", "it", "image.convert('L')"
        if argument == _X:
            has, it, convert = " contains", "the images", f"[{convert} for image in X]"
        raise input_error(
            (argument, f"{has} a PIL image of mode {image.mode}: {why}"),
            f"one of the modes {', '.join(PILLOW_MODES[:7])}",
            f"Convert {it} first: {convert} for gray, or convert({to!r}) for colour, which needs "
            "channel_axis=-1.",
        )
    return np.asarray(image)


def _check_n_dimensions(X, spatial_dims):
    """Refuse arrays of another number of dimensions than rows and images have."""
    if X.ndim < 2:
        raise input_error(
            (
                _X,
                f" has {X.ndim} dimension(s) (shape {X.shape}). Expected 2D array or more: rows "
                "(n, n_pixels), images (n, h, w), or images with channels",
            ),
            remedy="Reshape your data: one row of pixels is X.reshape(1, -1), one image is "
            "X.reshape(1, h, w).",
        )
    if X.ndim not in (2, spatial_dims + 1, spatial_dims + 2):
        remedy, came = "Reshape it first.", f" has {X.ndim} dimensions (shape {X.shape})"
        if spatial_dims == 2 and X.ndim == 5:
            remedy = "Set spatial_dims=3, if these are volumes: each is then equalized as a whole."
        elif X.ndim == 3:
            remedy = "Pass X[None], if it is one volume; set spatial_dims=2, if these are images."
        by = (Setting("spatial_dims", spatial_dims), " ")
        raise input_error((_X, came), LAYOUTS[spatial_dims], remedy, by)


def as_real(X):
    """Return X in a real dtype that the engines take; longer floats than double become doubles."""
    if X.dtype.kind not in "biuf":
        is_complex = X.dtype.kind == "c"
        raise input_error(
            (_X, f" has dtype {X.dtype}"),
            "bool, integers or real floats",
            "Complex data not supported: take X.real or abs(X)." if is_complex else "",
        )
    if X.dtype.kind == "f" and X.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # becomes an infinity, which is refused
            return X.astype(np.float64)
    return X


def check_convention(images, convention, default):
    """Refuse a dtype, a mask or a device that the convention does not take.

    default: the name of the convention that takes all.
    """
    dtype, accepted = images.X.dtype, convention.accepts
    named = Setting("convention", convention.name)
    if accepted is not None and dtype.newbyteorder("=") not in accepted:
        raise input_error(
            (_X, f" has dtype {dtype}"),
            " or ".join(map(str, accepted)),
            _remedy_of_dtype(dtype, default),
            by=(named, " "),
        )
    if images.mask is not None and not convention.takes_mask:
        raise input_error(
            (MASK, " is given, but ", named, " takes no mask: it counts every pixel"),
            remedy=f"Use convention={default!r}, which counts those of a mask.",
        )
    if images.library.is_remote and not convention.runs_on_devices:
        raise input_error(
            (
                _X,
                " is an array on another device than the CPU, but ",
                named,
                " has no exact arithmetic there",
            ),
            remedy=f"Use convention={default!r}, or move the images to the CPU first: X.cpu() in "
            "PyTorch.",
        )


def _remedy_of_dtype(dtype, default):
    """Return what to do about images of a dtype that a convention does not take."""
    m = {"f": "1 for floats in [0, 1]", "b": "1 for bool"}.get(dtype.kind, "4095 for 12 bits")
    own = ", with dtype='uint16' of the estimator if the output shall be uint16"
    return (
        "Scale the images first: (X / m * 255).astype('uint8'), with m the largest possible value "
        f"({m}), the same for all images. Or use convention={default!r}, which takes any dtype"
        f"{own if dtype == np.uint16 else ''}."
    )


def check_color_mode(images, mode, convention):
    """Refuse a dtype or a device that the mode of colours does not take, or its plane's dtype."""
    dtype = images.X.dtype
    color = Setting("color", images.layout.color)
    remedy = "Use color='luminance', or move the images to the CPU first: X.cpu() in PyTorch."
    if images.library.is_remote and not mode.runs_on_devices:
        raise input_error(
            (color, " with ", _X, " on another device than the CPU, where powers differ"),
            "images in the memory of the CPU",
            remedy,
        )
    named = color, " with ", Setting("convention", convention.name)
    if mode.accepts is not None and dtype not in mode.accepts:
        raise input_error(
            (*named, " and ", _X, f" of dtype {dtype}"),
            " or ".join(map(str, mode.accepts)),
            "Use color='luminance', or convert the images.",
        )
    if convention.accepts is not None and mode.plane_dtype(dtype) not in convention.accepts:
        raise input_error(
            named,
            "a convention that takes floats, because lightness is a float",
            f"Use color='luminance', or another convention. {IN_A_GRID}",
        )


class Declared(NamedTuple):
    """What a dask array says of its images, and how they are laid out."""

    dtype: np.dtype
    shape: tuple[int, ...]  # of an image in a chunk
    image_shape: tuple[int, ...]  # into which it is brought
    layout: Layout


def declared(images):
    """Return what a dask array says of its images without computing them."""
    return Declared(images.X.dtype, images.chunks.X.shape[1:], images.X.shape[1:], images.layout)


def read_chunk(expected, block, mask, numbering):
    """Return the images of one chunk of a dask array, which has declared what they are."""
    X = check_images(block, expected.layout.spatial_dims)
    dtype = expected.dtype
    if X.dtype.newbyteorder("=") != dtype.newbyteorder("=") or X.shape[1:] != expected.shape:
        raise input_error(
            (
                "a chunk of ",
                _X,
                f" has dtype {X.dtype} and images of shape {X.shape[1:]}, but its dask array "
                f"declares {dtype} and {expected.shape}",
            ),
            remedy="Correct the code that makes it: pass the right dtype, meta and chunks to "
            "map_blocks, from_delayed and the like.",
        )
    X = X.astype(dtype, copy=False).reshape(len(X), *expected.image_shape)
    return lay_out(X, mask, expected.layout, numbering)
