"""What engines have found in the pixels of images, as errors that name the images.

An engine raises no errors: it works on a block, in a thread, and does not know the number of an
image. It returns a status for each plane. `check_status` raises what the statuses of all blocks
say, so that an error names the same images whatever the blocks and threads were.
"""

from typing import Any, NamedTuple

import numpy as np

from .._arithmetic import namespaces
from .._arithmetic import status as bits
from .._arithmetic.conventions import Convention
from .problem import MASK, N_NAMED, Argument, ImageNumbers, Setting, X, input_error, warn_the_caller


class Numbering(NamedTuple):
    """How errors number images: the number of the first, and which part of X they are."""

    first: int = 0
    where: str = ""


ALL_IMAGES = Numbering()


class Limits(NamedTuple):
    """What images may hold, beside what is always refused: which errors a status means."""

    convention: Convention
    dtype: np.dtype | None = None  # of the output; None where nothing is written
    learned: Any = None  # a named tuple with the `dtype` and the `ranges` that were learned from


IMAGES = ImageNumbers(())  # stands for the numbers of the images in which something was found


def check_status(status, images, limits, ranges=None):
    """Raise what the engines found in the planes of images: status of shape (n, c).

    `ranges` are the least and the largest intensity of planes (2, n, c) where the planes of images
    are not known.
    """
    if not status.any():
        return
    for bit, came, *rest in _meanings(images, limits):
        found = np.flatnonzero((status & bit).any(axis=1)) + images.numbering.first
        if found.size:
            numbers = ImageNumbers(tuple(found.tolist()), images.numbering.where)
            raise input_error(tuple(numbers if piece is IMAGES else piece for piece in came), *rest)
    _warn_of_range(status, images, limits, ranges)


def _warn_of_range(status, images, limits, ranges):
    """Warn of images whose intensities are on another scale than those that were learned from."""
    is_far = (status & bits.FAR) > 0
    found = np.flatnonzero(is_far.any(axis=1))
    if not found.size:
        return
    color, channels = images.layout.color, np.flatnonzero(is_far.any(axis=0))
    learned = limits.learned.ranges[channels]  # each channel has its own
    named = found[:N_NAMED].tolist()
    if ranges is None:
        planes = [images.planes[i : i + 1, ...] for i in named]
        if color != "channels":
            planes = [limits.convention.colors[color].plane_of(each)[0] for each in planes]
        planes = [namespaces.to_numpy(each)[:, channels] for each in planes]
        low, high = min(map(np.nanmin, planes)), max(map(np.nanmax, planes))
    else:
        lows, highs = ranges[:, named][:, :, channels]
        low, high = lows.min(), highs.max()
    what = "values" if color in ("channels", "value") else color
    numbers = ImageNumbers(tuple((found + images.numbering.first).tolist()), images.numbering.where)
    came = f" has {what} from {low:g} to {high:g}"
    warn_the_caller(
        (X, came, numbers, f", but the images in fit had {what} from "
         f"{learned.min():g} to {learned.max():g}"),
        remedy="All values outside the range in fit become the least or the largest output. Bring "
        "X to the scale of those images, or fit again.",
    )  # fmt: skip


def _meanings(images, limits):
    """Yield the bits of a status that mean an error, in their order, with what the error says."""
    mode = limits.convention.colors.get(images.layout.color)
    is_bounded = mode is not None and mode.is_bounded
    if not limits.convention.takes_nan:
        for bit, what in (
            (bits.NAN, "NaN"),
            (bits.NEGATIVE, "negative values"),
            (0 if is_bounded else bits.ABOVE_ONE, "floats above 1"),  # which color explains below
        ):
            yield (
                bit,
                (X, f" contains {what}", IMAGES),
                "floats in [0, 1] or non-negative integers, none missing",
                "Use convention='histeq', which takes any range and NaN, or scale the images.",
                (Setting("convention", limits.convention.name), " "),
            )
    yield (
        bits.INF,
        (X, " contains infinity (inf)", IMAGES),
        "finite values, or NaN for missing pixels",
        "Replace them: X[np.isinf(X)] = np.nan.",
    )
    yield from _meanings_of_range(images.layout.color, is_bounded)
    learned_from = (
        f"{getattr(limits.learned, 'dtype', None)}, which the distribution was learned from"
    )
    yield (
        bits.BEYOND,
        (X, f" contains levels beyond the range of {learned_from},", IMAGES),
        (),
        "Convert X to that range, or fit again.",
    )
    if images.mask is not None:
        why = ": it is False everywhere there, or True only where X is NaN"
        yield (
            bits.EMPTY,
            (MASK, " leaves no pixel to count", IMAGES, why),
            "at least one True",
            "Leave these images out.",
        )
    yield (
        bits.FLAT,
        (X, " has equal intensities at the first and at the last percentage", IMAGES),
        "two different intensities there, which go to the ends of the standard range",
        "Leave these images out, or give a mask that leaves out the background.",
    )
    if limits.dtype is not None and limits.dtype.kind != "f":
        output = f", but the output has dtype {limits.dtype}, which has no NaN"
        yield (
            bits.NAN,
            (X, " contains NaN", IMAGES, output),
            (),
            "Fill the missing pixels, or use a float dtype.",
        )


def _meanings_of_range(color, is_bounded):
    """Yield the bits that mean an error where a plane of colours, or a blend, needs a range."""
    if color != "channels":
        yield from _meanings_of_color(color, is_bounded)
    yield (
        bits.NEGATIVE | bits.ABOVE_ONE,
        (X, " contains floats outside of [0, 1]", IMAGES, ", which a strength below 1 cannot blend "
         "with equalized values"),
        ("floats in [0, 1], or their range in ", Argument("value_range")),
        "Give the range, value_range=(low, high), or scale the images.",
    )  # fmt: skip


def _meanings_of_color(color, is_bounded):
    """Yield the bits that mean an error where one plane of colours is equalized."""
    by_color = Setting("color", color), " "
    yield (
        bits.NEGATIVE,
        (X, " contains negative values", IMAGES),
        "colours >= 0",
        "Shift or clip them, or use color='channels'.",
        by_color,
    )
    if is_bounded:
        yield (
            bits.ABOVE_ONE,
            (X, " contains floats above 1", IMAGES),
            "floats in [0, 1]",
            "Scale the images, X / 255 for floats that come from 8 bits, or use color='value'.",
            by_color,
        )


def check_channels_counted(n_counted, why="NaN or masked"):
    """Refuse to learn a channel's distribution from no pixel: one number per channel."""
    empty = [str(channel) for channel, n in enumerate(n_counted) if n == 0]
    if empty:
        raise input_error(
            (X, f" has no pixel to count in channel(s) {', '.join(empty)}: all are {why}"),
            "at least one",
        )
