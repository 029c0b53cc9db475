"""Types of arguments, and how help is laid out: what the commands for files and the demo share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Commands = Any  # argparse has no public name for what a parser adds commands to


class Paragraphs(argparse.RawDescriptionHelpFormatter):
    """Fills the paragraphs of a text, but not those that are indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = argparse.HelpFormatter._fill_text
        parts = text.strip().split("\n\n")
        return "\n\n".join(p if "\n  " in p else fill(self, p, width, indent) for p in parts)


def at_least(lowest: int) -> Callable[[str], int]:
    """Return a type for argparse: an integer that is not below `lowest`."""

    def integer(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"{text!r}, but expected an integer >= {lowest}")
        return int(text)

    return integer


def number_of_jobs(text: str) -> int:
    """Return a number of threads, as joblib counts them."""
    if not text.strip().removeprefix("-").isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}, but expected an integer other than 0")
    return int(text)


def value(text: str) -> Any:
    """Read a parameter: none, a number, several separated by commas, or a name.

    The estimator decides which of them it accepts.
    """
    if text.lower() == "none":
        return None
    if "," in text:
        return tuple(value(part.strip()) for part in text.split(",") if part.strip())
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text
