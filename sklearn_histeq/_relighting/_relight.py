"""relight: copies of images under simulated lights, as a camera would take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from .. import _blocks
from .._arithmetic import output
from .._base import ChannelAxis
from .._input import Layout, input_error, parameters, read_in_memory, warn_the_caller
from .._input.problem import Setting
from .._input.problem import X as _X

Strength = Literal["even", "mild", "harsh"]

MOST_BITS = 16
NOISE = 0.7 / 255  # standard deviation, as a share of white


class Light(NamedTuple):
    """How a light is drawn for each image.

    Attributes
    ----------
    gains : tuple of two floats
        Least and largest gain.
    shade : callable
        Maps distances (n, 1, h, w) along the direction of the light, which end at ±reach, these
        reaches (n, 1, 1, 1), and n rows of random numbers in [0, 1), to shares of the light.
    """

    gains: tuple[float, float]
    shade: Callable[[Any, Any, Any], Any]


def relight(
    X: ArrayLike,
    strength: Strength = "harsh",
    *,
    channel_axis: ChannelAxis = 1,
    image_shape: Sequence[int] | None = None,
    bits: int = 8,
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[Any]:
    """Return copies of images, each in another simulated light.

    Use the copies to measure how a change of light affects a classifier. :func:`relit_scorer` uses
    them to choose its first step, and :class:`AugmentedEstimator` to train it. If you have images
    that were taken in the light of future images, use those instead of copies.

    Parameters
    ----------
    X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
        Images: bool, unsigned integers, where the largest level of the type is white, or floats in
        [0, 1]. NaN stays NaN. X is not modified.
    strength : {"even", "mild", "harsh"}, default="harsh"
        How harsh the light is:

        - "even": each image has another exposure and another tone curve;
        - "mild": the light also falls from one side, and loses 50 to 90 % on the way;
        - "harsh": most of an image may lie in a shadow that is nearly black.
    channel_axis : {1, -1}, default=1
        Position of the channels in 4-D images: 1 for (n, c, h, w), -1 for (n, h, w, c). All
        channels of an image get the same light, so remove an alpha channel first.
    image_shape : tuple of 2 or 3 ints or None, default=None
        Shape of the images in 2-D input, one flattened image per row, as for the estimators. The
        strength "even" does not need it.
    bits : int, default=8
        Floats are rounded to this number of bits, from 1 to 16, as a camera does. Integers are
        rounded to the levels of their type. Rounding matters, because few levels are left in dark
        images.
    random_state : int, RandomState instance or None, default=None
        Pass an int to get the same copies at each call.

    Returns
    -------
    X_relit : ndarray of X's shape and dtype
        The copies.

    Raises
    ------
    ValueError
        If a parameter is not as documented, if the intensity of white is unknown (negative values,
        floats above 1, signed integers), or if X holds volumes with channels (5 dimensions).

    See Also
    --------
    relit_scorer : Validate on such copies in a grid search.
    AugmentedEstimator : Train on such copies.

    Notes
    -----
    An intensity f, as a share of white, at the place (x, y), both in [-1, 1], becomes ::

        gain * (f * light(d)) ** gamma + noise,    d = x * cos(a) + y * sin(a)

    The result is rounded and clipped. The noise is normal with the standard deviation 0.7 / 255,
    which is 0.7 levels of an 8-bit image. The light of each image is drawn from uniform
    distributions: the angle a in [0, 2π), log(gamma) in [-1, 1], and

    ========  ============  ===================================================================
    strength  gain          light
    ========  ============  ===================================================================
    even      [0.4, 1]      1
    mild      [0.4, 1]      linear in d, from low in [0.1, 0.5] in one corner to 1 in the other
    harsh     [0.15, 1]     low + (1 - low) / (1 + exp(-2 * s * (d - t))) with low in [0, 0.08],
                            s in [1, 6] and t in [-0.8, 0.8]
    ========  ============  ===================================================================

    Examples
    --------
    >>> import numpy as np
    >>> from skimage.data import lfw_subset
    >>> from sklearn_histeq import relight
    >>> X = lfw_subset()[:100]
    >>> copies = relight(X, random_state=0)
    >>> copies.shape, round(float(X.mean()), 2), round(float(copies.mean()), 2)
    ((100, 25, 25), 0.45, 0.15)
    """
    check_lights(strength, channel_axis, image_shape, bits)
    _refuse_volumes(X)
    images = read_in_memory(X, None, Layout("channels", channel_axis, image_shape))
    planes = images.planes
    if images.X.ndim == 2 and image_shape is None and strength != "even":
        n_pixels = images.X.shape[1]
        warn_the_caller(
            (Setting("image_shape", None), f" with rows of {n_pixels} pixels: the light falls "
             "along each row"),
            remedy=f"{images.layout.remedy_of_rows()} Or use strength='even'.",
        )  # fmt: skip
    images.layout.warn_of_likely_mistakes(images.X.shape, *planes.shape[1:])
    _check_intensities(planes)
    copies, out = images.empty(planes.dtype)
    rng = check_random_state(random_state)
    draws = rng.uniform(size=(len(planes), 6, 1, 1, 1))
    y = np.linspace(-1, 1, planes.shape[2])[:, np.newaxis]
    for part in _parts(*planes.shape):
        shares = _lit(planes[part], y[part[2]], LIGHTS[strength], draws[part[0]])
        _store(shares, rng, bits, out[part])
    return images.library.deliver(copies)


def _parts(n_images, n_channels, height, width):
    """Yield indices that cut planes into small parts, in the order in which noise is drawn."""
    if n_channels * height * width <= _blocks.PIXELS_PER_BLOCK:
        for images in _blocks.slices(n_images, n_channels * height * width):
            yield np.s_[images, :, :]
        return
    for i, channel in np.ndindex(n_images, n_channels):
        for rows in _blocks.slices(height, width):
            yield np.s_[i : i + 1, channel : channel + 1, rows]


def check_lights(strength, channel_axis, image_shape, bits):
    """Check the parameters that say how images are relit."""
    parameters.check_choice("strength", strength, LIGHTS)
    parameters.check_channel_axis(channel_axis)
    parameters.check_image_shape(image_shape)
    if not parameters.is_integer(bits) or not 1 <= bits <= MOST_BITS:
        raise input_error((Setting("bits", bits),), f"an integer from 1 to {MOST_BITS}")


def _refuse_volumes(X):
    """Refuse an array that can only be one of volumes."""
    shape = parameters.shape_of(X)
    if shape is not None and len(shape) == 5:
        raise input_error(
            (_X, f" has 5 dimensions (shape {tuple(shape)})"),
            "images: the simulated light falls on 2-D images, and volumes have no such light",
        )


def _check_intensities(X):
    """Refuse images whose value of white is unknown."""
    if X.dtype.kind == "i":
        raise input_error(
            (_X, f" has dtype {X.dtype}"),
            "unsigned integers, whose largest level is white, or floats in [0, 1]",
            "Convert X: X.astype(numpy.uint8), if 255 is white.",
        )
    if X.dtype.kind == "f":
        low, high = (limit.reduce(X, axis=None) for limit in (np.fmin, np.fmax))  # without NaN
        if low < 0 or high > 1:
            raise input_error(
                (_X, f" has floats from {low:g} to {high:g}"),
                "[0, 1], where 1 is white",
                "Scale X: X / 255, if 255 is white.",
            )


# Lights ------------------------------------------------------------------------------------------


def _no_shade(distance, reach, draws):
    """Return a light that is the same everywhere."""
    return 1.0


def _linear_shade(distance, reach, draws):
    """Return a light that decreases linearly from one side to the other."""
    low = _between(0.1, 0.5, draws[:, 0])
    return low + (1 - low) * (distance / reach + 1) / 2


def _hard_shade(distance, reach, draws):
    """Return a light with a shadow, whose edge is hard or soft."""
    low = _between(0, 0.08, draws[:, 0])
    steepness, place = _between(1, 6, draws[:, 1]), _between(-0.8, 0.8, draws[:, 2])
    return low + (1 - low) / (1 + np.exp(-2 * steepness * (distance - place)))


LIGHTS = {
    "even": Light((0.4, 1), _no_shade),
    "mild": Light((0.4, 1), _linear_shade),
    "harsh": Light((0.15, 1), _hard_shade),
}


def _between(low, high, draws):
    """Return random numbers in [0, 1) as numbers in [low, high)."""
    return low + (high - low) * draws


def _lit(planes, y, light, draws):
    """Return planes, whose rows lie at y, in other lights: shares of white, not yet rounded."""
    angle = _between(0, 2 * np.pi, draws[:, 0])
    gamma = np.exp(_between(-1, 1, draws[:, 1]))
    least_gain, largest_gain = light.gains
    gain = _between(least_gain, largest_gain, draws[:, 2])
    x = np.linspace(-1, 1, planes.shape[3])
    distance = x * np.cos(angle) + y * np.sin(angle)
    reach = np.abs(np.cos(angle)) + np.abs(np.sin(angle))
    shade = light.shade(distance, reach, draws[:, 3:])
    white = 1.0 if planes.dtype.kind == "f" else float(output.largest_level(planes.dtype))
    return gain * (planes / white * shade) ** gamma


def _store(shares, rng, bits, out):
    """Write shares of white into out, with noise, rounded to levels."""
    shares += rng.normal(0, NOISE, shares.shape)
    is_float = out.dtype.kind == "f"
    white = 2.0**bits - 1 if is_float else float(output.largest_level(out.dtype))
    levels = np.clip(np.rint(shares * white), 0, white)
    output.saturate(levels / white if is_float else levels, out)
