"""What engines have found in the pixels of images, as errors that name the images.

An engine raises no errors: it works on a block, in a thread, and does not know the number of an
image. It returns a status for each plane. `check_status` raises what the statuses of all blocks
say, so that an error names the same images whatever the blocks and threads were.
"""

from typing import NamedTuple

import numpy as np

from .._arithmetic import status as bits
from .._arithmetic.conventions import Convention
from .problem import MASK, ImageNumbers, Setting, X, input_error


class Numbering(NamedTuple):
    """How errors number images: the number of the first, and which part of X they are."""

    first: int = 0
    where: str = ""


ALL_IMAGES = Numbering()


class Limits(NamedTuple):
    """What images may hold, beside what is always refused: which errors a status means."""

    convention: Convention
    dtype: np.dtype | None = None  # of the output; None where nothing is written
    learned_dtype: np.dtype | None = None  # of the images that were learned from


IMAGES = ImageNumbers(())  # stands for the numbers of the images in which something was found


def check_status(status, images, limits):
    """Raise what the engines found in the planes of images: status of shape (n, c)."""
    if not status.any():
        return
    for bit, came, *rest in _meanings(images, limits):
        found = np.flatnonzero((status & bit).any(axis=1)) + images.numbering.first
        if found.size:
            numbers = ImageNumbers(tuple(found.tolist()), images.numbering.where)
            raise input_error(tuple(numbers if piece is IMAGES else piece for piece in came), *rest)


def _meanings(images, limits):
    """Yield the bits of a status that mean an error, in their order, with what the error says."""
    if not limits.convention.takes_nan:
        for bit, what in (
            (bits.NAN, "NaN"),
            (bits.NEGATIVE, "negative values"),
            (bits.ABOVE_ONE, "floats above 1"),
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
    yield (
        bits.NEGATIVE,
        (X, " contains negative values", IMAGES),
        "colours >= 0",
        "Shift or clip them, or use color='channels'.",
        (Setting("color", images.layout.color), " "),
    )
    learned_from = f"{limits.learned_dtype}, which the distribution was learned from"
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
    if limits.dtype is not None and limits.dtype.kind != "f":
        output = f", but the output has dtype {limits.dtype}, which has no NaN"
        yield (
            bits.NAN,
            (X, " contains NaN", IMAGES, output),
            (),
            "Fill the missing pixels, or use a float dtype.",
        )


def check_channels_counted(n_counted):
    """Refuse to learn a channel's distribution from no pixel: one number per channel."""
    empty = [str(channel) for channel, n in enumerate(n_counted) if n == 0]
    if empty:
        raise input_error(
            (X, f" has no pixel to count in channel(s) {', '.join(empty)}: all are NaN or masked"),
            "at least one",
        )
