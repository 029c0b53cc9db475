"""The commands and their options.

Each command has a parser that names the function that returns the work to do. That function imports
what the command needs. The commands for files are in `files`, and the demo is in `demo`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from sklearn_histeq import __version__
from sklearn_histeq._cli.arguments import Commands, Paragraphs, at_least, number_of_jobs
from sklearn_histeq._cli.files.options import add_all

_START = """\
Start with equalize. Where light falls from one side, try clahe, and under harsh
light local. Where pictures should look alike, use match.

examples:
  %(prog)s equalize dark.jpg light.jpg --color value
  %(prog)s clahe photos/ out/ --color value --n-jobs 2

'%(prog)s COMMAND --help' describes a command.
"""

_DEMO = """
Shows what histogram equalization does for face recognition.

Without --data the demo uses 200 images of 25x25 pixels from scikit-image (no network needed).
Classifiers learn to distinguish faces from other things in the original images, and are tested on
copies under simulated lights. With --data it recognises people in your own pictures: trained on a
random part of them and, in the harder case, on the brightest and tested on the darkest.

The tables compare the original images (raw), each image minus its mean and divided by its
standard deviation (standardised), and the results of the estimators. GridSearchCV then chooses
among them and their parameters. At the end the demo writes a figure with histograms and CDFs.
"""

_DATA = (
    "your own faces: an .npz file with X, of shape (n, height, width) or (n, 1, height, width), and"
    " y, the person in each image (numbers or text); or a folder with one subfolder of pictures"
    " (PGM, PNG, JPEG) per person, all of one size"
)


def parse(arguments: Sequence[str]) -> Callable[[], int | None]:
    """Return the work that the arguments ask for, which may return an exit status.

    Without arguments the help is printed. Options may be written like the parameters, with
    underscores.
    """
    arguments = arguments or ["--help"]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    known = [*_for_argparse(arguments[:end]), *arguments[end:]]
    options, others = _parser().parse_known_args(known)
    is_option = any(other.startswith("-") and other != "--" for other in others)
    if is_option or (others and not hasattr(options, "paths")):
        options.parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:  # names that stand after an option
        options.paths += [other for other in others if other != "--"]
    work: Callable[[], int | None] = options.prepare(options)
    return work


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, as the commands do."""

    def error(self, message: str) -> NoReturn:
        """Report what is wrong with the options, and exit."""
        self.exit(2, f"histeq: error: {message} (see {self.prog} --help)\n")


def _for_argparse(arguments: Iterable[str]) -> list[str]:
    """Return arguments with hyphens in the names of options, and ranges joined to their options.

    argparse takes one negative number for a value, but several, as -1000,400, for an option.
    """
    found: list[str] = []
    for argument in arguments:
        if found and found[-1].startswith("--") and re.match(r"-[\d.][^,]*,", argument):
            found[-1] += f"={argument}"
        else:
            found.append(re.sub("^--[^=]*", lambda name: name[0].replace("_", "-"), argument))
    return found


def _parser() -> _Parser:
    """Build the parser with all commands."""
    as_module = Path(sys.argv[0]).name == "__main__.py"
    parser = _Parser(
        prog="python -m sklearn_histeq" if as_module else "histeq",
        description="Histogram equalization of image files with the estimators of sklearn-histeq.",
        epilog=_START,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sklearn-histeq {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_all(commands)
    _add_demo(commands)
    return parser


def _add_demo(commands: Commands) -> None:
    """Add the command ``demo``."""
    demo = commands.add_parser(
        "demo",
        help="show what equalization does for face recognition, on bundled or your own pictures",
        description=_DEMO,
        formatter_class=Paragraphs,
    )
    output = "file for the figure; a file that the demo did not write is never overwritten"
    repeats = "number of random draws behind each mean (default: 20, or 5 with --data)"
    seed = "seed of the draws and lights; the same seed gives the same result"
    jobs = "number of threads for GridSearchCV; -1 uses all processors (default: 1)"
    demo.add_argument("--data", type=Path, metavar="PATH", help=_DATA)
    demo.add_argument("--output", type=Path, metavar="PNG", default=Path("demo.png"), help=output)
    demo.add_argument("--repeats", type=at_least(1), metavar="N", help=repeats)
    demo.add_argument("--seed", type=at_least(0), metavar="N", default=0, help=seed)
    demo.add_argument("--n-jobs", type=number_of_jobs, metavar="N", help=jobs)
    demo.set_defaults(prepare=_prepare_demo, parser=demo)


def _prepare_demo(options: argparse.Namespace) -> Callable[[], None]:
    """Return the work of the command ``demo``."""
    from sklearn_histeq._cli.demo import run

    names = ("data", "output", "repeats", "seed", "n_jobs")
    return partial(run, **{name: getattr(options, name) for name in names})
