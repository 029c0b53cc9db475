"""Every check of user input, one function per rule.

A message names what came, what was expected and what to do.
"""

import numbers
import os
import sys
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array

from ._arithmetic import status as finding
from ._arithmetic.conventions import Convention

COLORS = ("channels", "value")
SCOPES = ("image", "dataset")
OUTPUT_DISTRIBUTIONS = ("uniform", "normal")
DTYPES = tuple(map(np.dtype, ("float32", "float64", "uint8", "uint16")))
N_BINS_ADAPTIVE = 256
# more bins or tiles than this would not fit in memory
LARGEST_NUMBER = 2**31 - 1
# How many images an error names before it only counts the rest.
N_NAMED = 5


class Numbering(NamedTuple):
    """How errors number images: the number of the first, and which part of X they are."""

    first: int = 0
    where: str = ""


ALL_IMAGES = Numbering()


class StatusContext(NamedTuple):
    """What error messages about the status of images need to know."""

    numbering: Numbering = ALL_IMAGES
    has_mask: bool = False
    dtype: np.dtype | None = None  # of the output; None where nothing is written
    learned_dtype: np.dtype | None = None  # of the images that were learned from
    convention: Convention | None = None


def check_choice(name, value, choices):
    """Refuse a value that is none of the choices."""
    if not (isinstance(value, str) and value in choices):
        *others, last = map(repr, choices)
        raise ValueError(f"{name}={value!r}, but expected {', '.join(others)} or {last}.")


def check_flag(name, value):
    """Refuse anything but True and False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={value!r}, but expected True or False.")


def check_n_bins(n_bins, *, auto=True):
    """Refuse a number of bins that is no integer >= 1, or "auto" where that has a meaning."""
    if auto and isinstance(n_bins, str) and n_bins == "auto":
        return
    if not is_integer(n_bins) or not 1 <= n_bins <= LARGEST_NUMBER:
        expected = "an integer >= 1" + (" or 'auto'" if auto else "")
        if is_integer(n_bins) and n_bins > LARGEST_NUMBER:
            expected = f"an integer <= {LARGEST_NUMBER}"
        raise ValueError(f"n_bins={n_bins!r}, but expected {expected}.")


def check_n_jobs(n_jobs):
    """Refuse a number of jobs that joblib would not take."""
    if n_jobs is not None and (not is_integer(n_jobs) or n_jobs == 0):
        raise ValueError(
            f"n_jobs={n_jobs!r}, but expected None, an integer >= 1, or a negative integer "
            "(-1 for all processors)."
        )


def check_channel_axis(channel_axis):
    """Refuse an axis that is neither channels first nor channels last."""
    if not is_integer(channel_axis) or channel_axis not in (1, -1):
        raise ValueError(
            f"channel_axis={channel_axis!r}, but expected 1 (channels first, (n, c, h, w)) or "
            "-1 (channels last, (n, h, w, c))."
        )


def check_image_shape(image_shape):
    """Refuse a shape that is neither None nor two or three positive integers."""
    if image_shape is None:
        return
    is_shape = _shape(image_shape) in ((2,), (3,)) and not isinstance(image_shape, dict)
    if not is_shape or not all(is_integer(size) and size >= 1 for size in image_shape):
        raise ValueError(
            f"image_shape={image_shape!r}, but expected None, (height, width), or three numbers "
            "laid out as channel_axis says, all integers >= 1."
        )


def check_dtype(dtype):
    """Refuse an output type that is neither None, "input", nor one of DTYPES."""
    if dtype is None or (isinstance(dtype, str) and dtype == "input"):
        return
    try:
        known = np.dtype(dtype) in DTYPES
    except TypeError:
        known = False
    if not known:
        raise ValueError(
            f"dtype={dtype!r}, but expected None, 'input', float32, float64, uint8 or uint16."
        )


def check_bins_of_convention(n_bins, default, convention):
    """Refuse a number of bins where the convention has none to choose."""
    if not convention.takes_n_bins and n_bins != default:
        raise ValueError(
            f"n_bins={n_bins!r} with convention={convention.name!r}, but expected the default, "
            f"n_bins={default!r}: the convention has one bin per level. In a grid search, give "
            "each convention a grid of its own (a list of grids)."
        )


def check_output_distribution(output_distribution, convention):
    """Refuse a distribution that the convention has no formula for."""
    check_choice("output_distribution", output_distribution, OUTPUT_DISTRIBUTIONS)
    if output_distribution not in convention.formulas:
        raise ValueError(
            f"output_distribution={output_distribution!r} with convention={convention.name!r}, but "
            "expected convention='skimage'. In a grid search, give each convention a grid of its "
            "own (a list of grids)."
        )


def check_normal_dtype(output_distribution, dtype):
    """Refuse to store normal quantiles, which have no largest value, in integers."""
    if output_distribution == "normal" and dtype.kind != "f":
        raise ValueError(
            f"output_distribution='normal' with an output of dtype {dtype}, but expected a float: "
            "normal quantiles are negative and have no largest value. Use dtype=None, 'float32' or "
            "'float64'."
        )


def check_images_of_convention(images, convention, conventions):
    """Refuse a dtype or a mask that the convention does not take; None takes all."""
    if convention is None:
        return
    default = next(iter(conventions))
    dtype, accepted = images.X.dtype, convention.accepts
    if accepted is not None and dtype.newbyteorder("=") not in accepted:
        raise ValueError(
            f"X has dtype {dtype}, but convention={convention.name!r} expected "
            f"{' or '.join(map(str, accepted))}. Convert the images (skimage.util.img_as_ubyte), "
            f"or use convention={default!r}, for any dtype."
        )
    if images.mask is not None and not convention.takes_mask:
        raise ValueError(
            f"mask is given, but convention={convention.name!r} takes no mask: it counts every "
            f"pixel. Use convention={default!r}, which counts those of a mask."
        )
    if images.library.is_remote and not convention.runs_on_devices:
        raise ValueError(
            f"X is an array on another device than the CPU, but convention={convention.name!r} has "
            f"no exact arithmetic there. Use convention={default!r}, or move the images to the CPU "
            "first: X.cpu() in PyTorch."
        )


def check_tiles(name, value):
    """Refuse tiles that are neither one integer >= 1 nor two."""
    is_two = isinstance(value, (tuple, list, np.ndarray)) and _shape(value) == (2,)
    if not all(is_integer(n) and 1 <= n <= LARGEST_NUMBER for n in (value if is_two else [value])):
        raise ValueError(
            f"{name}={value!r}, but expected an integer >= 1 (and <= {LARGEST_NUMBER}), or two of "
            "them, (rows, columns)."
        )


def check_window(window):
    """Refuse a window that is neither a share of the shorter side nor an odd number of pixels."""
    if is_integer(window):
        is_window = 3 <= window <= LARGEST_NUMBER and window % 2 == 1
    else:
        is_real = isinstance(window, numbers.Real) and not isinstance(window, (bool, np.bool_))
        is_window = is_real and 0 < window <= 1
    if not is_window:
        raise ValueError(
            f"window={window!r}, but expected a float in (0, 1], the share of the images' shorter "
            f"side, or an odd integer >= 3 (and <= {LARGEST_NUMBER}), the width in pixels."
        )


def check_clip_limit(clip_limit, convention):
    """Refuse a limit that is neither None, "auto", nor a number of a range that has a meaning."""
    if clip_limit is None or (isinstance(clip_limit, str) and clip_limit == "auto"):
        return
    is_real = isinstance(clip_limit, numbers.Real) and not isinstance(clip_limit, (bool, np.bool_))
    limit = _as_float(clip_limit) if is_real else np.nan
    least = convention.least_clip_limit
    if not ((limit >= least if least else limit > 0) and limit < np.inf):
        expected = f">= {least:g} (1 is the uniform histogram)" if least else "> 0"
        raise ValueError(
            f"clip_limit={clip_limit!r} with convention={convention.name!r}, but expected 'auto', "
            f"a finite number {expected}, or None, which clips nothing (0 in the other libraries)."
        )


def _as_float(number):
    """Return a real number as a float; infinity if it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return np.inf


def check_tile_shape_of_convention(tile_shape, convention):
    """Refuse a shape of tiles where the convention cuts images by the number of tiles."""
    if tile_shape is not None and not convention.takes_tile_shape:
        raise ValueError(
            f"tile_shape={tile_shape!r} with convention={convention.name!r}, but expected None: "
            "this convention cuts by number. Use n_tiles, or convention='histeq' or 'skimage'."
        )


def check_reference(reference):
    """Return a reference image as an array of one to three dimensions, of a type that engines take.

    Its pixels are looked at later.
    """
    if isinstance(reference, np.ma.MaskedArray):
        raise TypeError(
            "reference is a numpy.ma.MaskedArray, but expected a plain array: its mask would be "
            "ignored. Set the masked pixels to NaN: reference.astype(float).filled(np.nan)."
        )
    if _shape(reference) is None:
        raise ValueError(
            "reference is a list whose rows differ in length, but expected one image: an array "
            "(h, w), (c, h, w) or (h, w, c), or a row of pixels."
        )
    image = np.asarray(reference)
    if image.dtype.kind not in "biuf" or not 1 <= image.ndim <= 3 or image.size == 0:
        raise ValueError(
            f"reference has dtype {image.dtype} and shape {image.shape}, but expected None or one "
            "image of real numbers, laid out as one of X: (h, w), (c, h, w) or (h, w, c) as "
            "channel_axis says, or a row of pixels."
        )
    return _as_true_bool(_check_real(image))


def check_reference_geometry(reference, image_shape):
    """Refuse a row of reference pixels that image_shape does not lay out."""
    if reference.ndim == 1 and image_shape is not None:
        n_pixels = int(np.prod(image_shape))
        if n_pixels != reference.size:
            raise ValueError(
                f"reference is a row of {reference.size} pixels, but image_shape="
                f"{tuple(image_shape)!r} has {n_pixels}. Give the reference as an image."
            )


def check_reference_channels(n_channels, expected):
    """Refuse a reference of another number of channels than the images."""
    if n_channels != expected:
        raise ValueError(
            f"reference has {n_channels} channel(s), but X has {expected}: expected the same "
            "number. Give one image laid out as one of X; check channel_axis (and image_shape for "
            "rows)."
        )


def check_reference_status(status):
    """Raise what was found in the planes of the reference: status of shape (1, c)."""
    for bit, found in (
        (finding.INF, "contains infinity (inf), but expected finite values, or NaN for missing"),
        (finding.NEGATIVE, "contains negative values, but color='value' expected colours >= 0"),
        (finding.EMPTY, "has a channel without a pixel that is not NaN, but expected at least one"),
    ):
        if (status & bit).any():
            raise ValueError(f"reference {found}. Choose another image, or correct this one.")


def check_images(X, estimator):
    """Return X as a numeric array of 2 to 4 dimensions with at least one pixel.

    Infinities are found later, with the pixels.
    """
    if _is_plain(X):
        return X
    _refuse_masked_arrays(X)
    _refuse_files(X)
    X = _as_one_array(X)
    if getattr(getattr(X, "dtype", None), "kind", "") in ("c", "V"):
        _check_real(X)
    if isinstance(X, numbers.Number) or getattr(X, "ndim", 2) == 0:
        _check_n_dimensions(np.asarray(X))
    X = check_array(
        X,
        allow_nd=True,
        dtype="numeric",
        ensure_all_finite=False,
        ensure_2d=False,
        estimator=estimator,
        input_name="X",
    )
    _check_n_dimensions(X)
    _check_not_empty(X)
    return _as_true_bool(_check_real(X))


def _is_plain(X):
    """Return whether X is an array that needs no check_array, which takes 30 us."""
    is_real = type(X) is np.ndarray and X.dtype.kind in "iuf" and X.dtype.itemsize <= 8
    return is_real and 2 <= X.ndim <= 4 and X.size > 0


def _refuse_masked_arrays(X):
    """Refuse numpy.ma arrays, whose mask would be dropped in silence."""
    parts = X if isinstance(X, (list, tuple)) else [X]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(
            "X is a numpy.ma.MaskedArray, but expected a plain array: its mask would be ignored. "
            "Pass X.data, and mask=~numpy.ma.getmaskarray(X) (True where a pixel counts)."
        )


def _refuse_files(X):
    """Refuse the name of a file, and an archive that was opened and not read."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise ValueError(
            f"X is {X!r}, but expected an array of images. Read the file first: numpy.load for "
            ".npy, skimage.io.imread for a picture (and add an axis: image[None])."
        )
    if isinstance(X, np.lib.npyio.NpzFile):
        raise ValueError(
            f"X is an open .npz file with the arrays {', '.join(X.files)}, but expected one array. "
            f"Take it out first: X[{next(iter(X.files), 'name')!r}]."
        )


def _as_one_array(X):
    """Return a list of pictures, of arrays, or of nested lists as one array of one shape."""
    if hasattr(X, "getbands"):
        raise ValueError(
            "X is one PIL image, but expected an array of images. Pass numpy.asarray(X)[None], and "
            "set channel_axis=-1 if it is in colour."
        )
    is_object = isinstance(X, np.ndarray) and X.dtype == object
    if not (is_object or isinstance(X, (list, tuple))) or len(X) == 0:
        return X
    if hasattr(X[0], "getbands"):
        X = [np.asarray(image) for image in X]
    shapes = [_shape(image) for image in X]
    if None in shapes:
        raise ValueError(
            "X is a list of images whose rows differ in length, but expected one shape for all "
            "rows and images."
        )
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"X is a list of images of different shapes: {shapes[0]} in image 0, {shape} in "
                f"image {i}, but expected one shape. Resize or crop them first "
                "(skimage.transform.resize)."
            )
    return np.stack(list(X)) if shapes[0] else X


def _as_true_bool(X):
    """Return bool images whose bytes are 0 and 1, as the engines take them for levels.

    A view of other bytes as bool, as mask.view(bool), may hold others.
    """
    if X.dtype == np.bool_ and X.size and X.view(np.uint8).max() > 1:
        return X.view(np.uint8) != 0
    return X


def _check_n_dimensions(X):
    """Refuse arrays of less than two or more than four dimensions."""
    if X.ndim < 2:
        raise ValueError(
            f"X has {X.ndim} dimension(s) (shape {X.shape}). Expected 2D array or more: rows (n, "
            "n_pixels), images (n, h, w), or images with channels. Reshape your data: one image "
            "alone is image[None], one row of pixels is X.reshape(1, -1)."
        )
    if X.ndim > 4:
        raise ValueError(
            f"X has {X.ndim} dimensions (shape {X.shape}), but expected rows (n, n_pixels), images "
            "(n, h, w), or images with channels (n, c, h, w) or (n, h, w, c). Reshape it first."
        )


def _check_not_empty(X):
    """Refuse images without pixels; check_array has refused empty rows and an empty batch."""
    if X.size == 0:
        raise ValueError(f"X has shape {X.shape}: 0 pixels per image, but expected at least 1.")


def _check_real(X):
    """Return X in a real dtype that the engines take; longer floats than double become doubles."""
    if X.dtype.kind not in "biuf":
        hint = " Complex data not supported: take X.real or abs(X)." if X.dtype.kind == "c" else ""
        raise ValueError(
            f"X has dtype {X.dtype}, but expected bool, integers or real floats.{hint}"
        )
    if X.dtype.kind == "f" and X.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # becomes an infinity, which is refused
            return X.astype(np.float64)
    return X


def check_geometry(X, image_shape, channel_axis):
    """Refuse rows that image_shape does not lay out."""
    if X.ndim == 2 and image_shape is not None:
        n_pixels = int(np.prod(image_shape))
        if n_pixels != X.shape[1]:
            raise ValueError(
                f"image_shape={tuple(image_shape)!r} has {n_pixels} pixels, but X has {X.shape[1]} "
                f"features. Give (height, width), or three numbers laid out as "
                f"channel_axis={channel_axis} says."
            )


def warn_of_layout(images, channel_axis):
    """Warn where colour channels are probably taken for columns, or columns for channels."""
    shape, (_, n_channels, height, width) = images.X.shape, images.planes.shape
    taken_for = f"images of {n_channels} channels of {height}×{width} pixels"
    if len(shape) == 3 and width in (3, 4) and min(shape[:2]) >= 2 * width:
        taken_for = f"{shape[0]} images of {height}×{width} pixels"
        remedy = "pass image[None] with channel_axis=-1, if it is one colour image"
    elif channel_axis == 1 and width in (3, 4) and height > width and n_channels > 4:
        remedy = "set channel_axis=-1, if the channels come last"
    elif channel_axis == -1 and height in (3, 4) and width >= 4 * height and n_channels > 4:
        remedy = "set channel_axis=1, if the channels come first"
    else:
        return
    warn_the_caller(
        f"X of shape {shape} is taken for {taken_for}. That is unusual: {remedy}, or move the axis "
        "(numpy.moveaxis) to say what the array holds."
    )


def check_color(color, X, planes):
    """Refuse images that are not RGB or RGBA where color="value" asks for them."""
    if color == "value" and (planes.shape[1] not in (3, 4) or X.ndim == 3):
        raise ValueError(
            f"color='value' with X of shape {X.shape}: {planes.shape[1]} channel(s), but expected "
            "3 (RGB) or 4 (RGBA). Check channel_axis (and image_shape for rows), or use "
            "color='channels'."
        )


def check_mask(mask, shape):
    """Return a mask as a boolean array of the expected shape."""
    if mask is None:
        return None
    if _shape(mask) is None:
        raise ValueError(f"mask is a list whose rows differ in length, but expected shape {shape}.")
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise ValueError(
            f"mask has dtype {mask.dtype}, but expected bool, True where a pixel counts. Use "
            "mask.astype(bool)."
        )
    if mask.shape != shape:
        raise ValueError(
            f"mask has shape {mask.shape}, but expected {shape}: one value for each pixel of each "
            "image, the same for all channels."
        )
    return _as_true_bool(mask)


def check_n_channels(n_channels, expected, estimator):
    """Refuse another number of channels than was fitted."""
    if n_channels != expected:
        raise ValueError(
            f"X has {n_channels} channel(s), but {type(estimator).__name__} is expecting "
            f"{expected}, as in fit. Check channel_axis (and image_shape for rows), or fit again."
        )


def check_state_params(estimator, names):
    """Refuse parameters other than those with which a distribution was learned."""
    learned = getattr(estimator, "_params_of_state", {})
    for name in names:
        value = getattr(estimator, name)
        if name in learned and value != learned[name]:
            raise ValueError(
                f"{name}={value!r}, but the distribution was learned with {name}="
                f"{learned[name]!r}, and expected the same. Call fit again after set_params."
            )


def check_two_dimensional(shape, estimator):
    """Refuse images that are not flattened, where a data frame or its columns are asked for."""
    if len(shape) > 1 and not estimator.flatten:
        raise ValueError(
            f"The output of {type(estimator).__name__} for images of shape {shape} is not "
            "two-dimensional: it has no feature names and fits no data frame. Set flatten=True to "
            'get one row per image, or call set_output(transform="default") to get the images as '
            "an array."
        )


def check_same_kind(dtype, fitted):
    """Refuse floats where integers (or bool) were learned, and the reverse."""
    if (dtype.kind == "f") != (fitted.kind == "f"):
        raise ValueError(
            f"X has dtype {dtype}, but the distribution was learned from {fitted}: intensities of "
            f"another kind have no meaning in it. Convert X to {fitted}, on the same scale, or fit "
            "again."
        )


def check_status(status, context):
    """Raise what the engines found in the planes of images: status of shape (n, c)."""
    if not status.any():
        return
    if context.convention is not None and not context.convention.takes_nan:
        _check_status_of_peer(status, context)
    _raise_for(
        status & finding.INF,
        context,
        "X contains infinity (inf) in image(s) {images}, but expected finite values, or NaN for "
        "missing pixels. Replace them: X[np.isinf(X)] = np.nan.",
    )
    _raise_for(
        status & finding.NEGATIVE,
        context,
        "X contains negative values in image(s) {images}, but color='value' expected colours >= 0. "
        "Shift or clip them, or use color='channels'.",
    )
    _raise_for(
        status & finding.BEYOND,
        context,
        f"X contains levels beyond the range of {context.learned_dtype}, which the distribution "
        "was learned from, in image(s) {images}. Convert X to that range, or fit again.",
    )
    if context.has_mask:
        _raise_for(
            status & finding.EMPTY,
            context,
            "mask leaves no pixel to count in image(s) {images}: it is False everywhere there, or "
            "True only where X is NaN, but expected at least one True. Leave these images out.",
        )
    if context.dtype is not None and context.dtype.kind != "f":
        _raise_for(
            status & finding.NAN,
            context,
            f"X contains NaN in image(s) {{images}}, but the output has dtype {context.dtype}, "
            "which has no NaN. Fill the missing pixels, or use a float dtype.",
        )


def _check_status_of_peer(status, context):
    """Raise what a convention that takes no missing pixels does not take."""
    for bit, what in (
        (finding.NAN, "NaN"),
        (finding.NEGATIVE, "negative values"),
        (finding.ABOVE_ONE, "floats above 1"),
    ):
        _raise_for(
            status & bit,
            context,
            f"X contains {what} in image(s) {{images}}, but convention="
            f"{context.convention.name!r} expected floats in [0, 1] or non-negative integers, none "
            "missing. Use convention='histeq', which takes any range and NaN, or scale the images.",
        )


def check_channels_counted(n_counted):
    """Refuse to learn a channel's distribution from no pixel: one number per channel."""
    empty = [str(channel) for channel, n in enumerate(n_counted) if n == 0]
    if empty:
        raise ValueError(
            f"X has no pixel to count in channel(s) {', '.join(empty)}: all are NaN or masked, but "
            "expected at least one."
        )


# Dask arrays -------------------------------------------------------------------------------------


def refuse_collection(name, collection):
    """Refuse a dask collection that is no array."""
    raise TypeError(
        f"{name} is a {type(collection).__module__}.{type(collection).__name__}, but expected a "
        f"dask array or an array in memory. Use {name}.to_dask_array() of a data frame, or "
        f"{name}.data of an xarray.DataArray."
    )


def check_known_sizes(name, shape):
    """Refuse images of unknown size: beyond the first axis a dask array's shape has no NaN."""
    if np.isnan(shape[1:]).any():
        raise ValueError(
            f"{name} has shape {shape}, but expected images of known size: only the number of "
            f"images may be unknown. Call {name}.compute_chunk_sizes() first."
        )


def check_known_images(n_images):
    """Refuse a mask in memory beside a dask array of an unknown number of images (None)."""
    if n_images is None:
        raise ValueError(
            "mask is an array in memory, but X is a dask array with chunks of unknown sizes: "
            "expected a dask array of the same blocks, which belongs to the same images. Call "
            "X.compute_chunk_sizes() first, or make the mask as X is made."
        )


def check_same_blocks(n_blocks, expected):
    """Refuse a dask mask of other blocks than X, where chunks of unknown sizes leave no choice."""
    if n_blocks != expected:
        raise ValueError(
            f"mask has {n_blocks} block(s) of images, but X has {expected}: expected a dask array "
            "of the same blocks, since chunks of unknown sizes cannot be cut anew. Call "
            "compute_chunk_sizes() of X and of mask first."
        )


def check_any_image(n_images):
    """Refuse to learn from a dask array that turned out to be empty."""
    if n_images == 0:
        raise ValueError("X has 0 images: all its chunks are empty, but expected at least 1.")


def check_chunk(X, dtype, shape):
    """Return a chunk of images of a shape in the dtype that its dask array declares."""
    if X.dtype.newbyteorder("=") != dtype.newbyteorder("=") or X.shape[1:] != shape:
        raise ValueError(
            f"a chunk of X has dtype {X.dtype} and images of shape {X.shape[1:]}, but its dask "
            f"array declares {dtype} and {shape}. Correct the code that makes it: pass the right "
            "dtype, meta and chunks to map_blocks, from_delayed and the like."
        )
    return X.astype(dtype, copy=False)


def check_container(container, is_lazy, is_numpy):
    """Refuse to put an array of dask, or of a library other than NumPy, into a data frame."""
    if is_lazy:
        raise ValueError(
            f"set_output(transform={container!r}) with a dask array would compute all of it, into "
            'one data frame. Call set_output(transform="default") to get a dask array, or compute '
            "X first."
        )
    if not is_numpy:
        raise ValueError(
            f"set_output(transform={container!r}) with an array that is not NumPy's, but expected "
            '"default": the output is an array of the library of X. Call '
            'set_output(transform="default"), or convert X to NumPy.'
        )


# Arrays of the array API, by facts about them ----------------------------------------------------


def check_dtype_of_library(name, dtype):
    """Refuse a dtype, by its name, that NumPy does not have."""
    try:
        np.dtype(dtype)
    except TypeError:
        raise ValueError(
            f"{name} has dtype {dtype}, but expected bool, integers or real floats that NumPy has, "
            "too. Convert it: float32 holds every value of bfloat16."
        ) from None


def refuse_unreadable(name, kind, error):
    """Refuse an array whose pixels its library does not hand out."""
    raise TypeError(
        f"{name} is a {kind.__module__}.{kind.__name__} whose pixels cannot be read ({error}). "
        "Expected a dense array with memory. Equalization has no gradient: pass X.detach() of a "
        "tensor that requires one, and X.to_dense() of a sparse tensor."
    ) from error


def refuse_device(where):
    """Refuse a device on which results would not be exact."""
    raise ValueError(
        f"X is an array of {where}, which has no float64, but expected a device that computes in "
        "double precision. Move the images to the CPU first: X.cpu()."
    )


def check_library_of_mask(found, expected):
    """Refuse a mask of another library or device than X, by their descriptions."""
    if found != expected:
        raise ValueError(
            f"mask is an array of {found}, but X is one of {expected}: expected the same library "
            "and device. Bring the mask there: torch.asarray(mask, device=X.device) in PyTorch."
        )


def refuse_other_library(found, fitted, estimator, method):
    """Refuse images of another library or device than those of fit, as scikit-learn does."""
    name = type(estimator).__name__
    raise ValueError(
        f"Inputs passed to {name}.{method}() must use the same namespace and the same device as "
        f"those passed to fit(): X is an array of {found}, but fit has seen one of {fitted}. "
        "Convert X, or fit again."
    )


def _shape(value):
    """Return the shape of an array-like, or None for a list whose rows differ in length."""
    try:
        return np.shape(value)
    except ValueError:
        return None


def is_integer(value):
    """Return whether a value is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def warn_the_caller(message):
    """Issue a warning that points to the line of the user's code that called the package.

    The callers inside of this package and of scikit-learn are passed over; how many these are
    depends on whether the call was of transform, of fit_transform or of a Pipeline.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals["__name__"].startswith(("sklearn_histeq.", "sklearn.")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _raise_for(found, context, message):
    """Raise a message about the {images} in which something was found, if there are any."""
    images = np.flatnonzero(found.any(axis=1)) + context.numbering.first
    if images.size:
        named = ", ".join(map(str, images[:N_NAMED]))
        rest = f" and {images.size - N_NAMED} more" if images.size > N_NAMED else ""
        raise ValueError(message.format(images=named + rest + context.numbering.where))
