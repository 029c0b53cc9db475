"""Errors and warnings as objects: parameter, what came, what was expected, remedy.

Errors and warnings of this package carry a `Problem`. Its text is written in pieces, so that a
program can spell the names of parameters, their values and the numbers of images in its own way.
"""

import sys
import warnings
from functools import partial
from typing import Any, NamedTuple

# How many images a message names before it only counts the rest.
N_NAMED = 5


class Setting(NamedTuple):
    """A parameter with its value, a piece of a message: n_bins=0."""

    name: str
    value: Any


class Argument(NamedTuple):
    """The name of an argument or parameter, a piece of a message: X."""

    name: str


class Value(NamedTuple):
    """A value that a parameter may have, a piece of a message: 'auto'."""

    value: Any


class ImageNumbers(NamedTuple):
    """The numbers of images, a piece of a message: " in image(s) 3, 5 of chunk 2"."""

    numbers: tuple[int, ...]
    where: str = ""  # which part of X they number

    def counted_from(self, first):
        """Return the numbers where the images are part of others, which come before them."""
        return self._replace(numbers=tuple(first + number for number in self.numbers))

    def __str__(self):
        named = ", ".join(map(str, self.numbers[:N_NAMED]))
        n_more = len(self.numbers) - N_NAMED
        more = f" and {n_more} more" if n_more > 0 else ""
        return f" in image(s) {named}{more}{self.where}"


X, MASK, REFERENCE = Argument("X"), Argument("mask"), Argument("reference")


class Problem(NamedTuple):
    """What is wrong with an input.

    Attributes
    ----------
    came, expected : tuple of str, Setting, Argument, Value or ImageNumbers
        The pieces of what came and of what was expected; `expected` is empty where `came` says all.
    remedy : str
        What to do, in Python.
    by : tuple of pieces
        Which parameter expects it, if it is another one.
    """

    came: tuple[Any, ...]
    expected: tuple[Any, ...] = ()
    remedy: str = ""
    by: tuple[Any, ...] = ()

    @property
    def parameter(self):
        """The name of the parameter or argument that is to blame."""
        return next((piece.name for piece in self.came if hasattr(piece, "name")), None)

    @property
    def images(self):
        """The numbers of the images that are to blame; none where it is not about single images."""
        return next((p.numbers for p in self.came if isinstance(p, ImageNumbers)), ())

    def text(self, spell=None):
        """Return what came and what was expected; spell(piece) returns one that is no str."""
        pieces = self.came
        if self.expected:
            pieces = (*pieces, ", but ", *self.by, "expected ", *self.expected)
        return "".join(p if isinstance(p, str) else (spell or _in_python)(p) for p in pieces)

    def __str__(self):
        return f"{self.text()}. {self.remedy}" if self.remedy else f"{self.text()}."


def _in_python(piece):
    """Return a piece of a message as a user of Python knows it."""
    if isinstance(piece, Setting):
        return f"{piece.name}={piece.value!r}"
    if isinstance(piece, Argument):
        return piece.name
    if isinstance(piece, Value):
        return repr(piece.value)
    return str(piece)


def input_error(came, expected=(), remedy="", by=(), kind=ValueError):
    """Return an error, to be raised, with a `problem` of the arguments of `Problem`.

    `expected` may be a plain string.
    """
    problem = Problem(came, (expected,) if isinstance(expected, str) else expected, remedy, by)
    error = kind(str(problem))
    error.problem = problem
    return error


input_type_error = partial(input_error, kind=TypeError)


def warn_the_caller(came, expected=(), remedy=""):
    """Issue a warning that points to the line of the user's code that called the package.

    It has a `problem`, as errors have. The callers inside of this package and of scikit-learn are
    passed over; how many these are depends on whether the call was of transform, of fit_transform
    or of a Pipeline.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals["__name__"].startswith(("sklearn_histeq.", "sklearn.")):
        frame, level = frame.f_back, level + 1
    warnings.warn(input_error(came, expected, remedy, kind=UserWarning), stacklevel=level)
