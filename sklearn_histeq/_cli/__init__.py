"""The command line: reads the options, runs one command, and turns what went wrong into one line.

Each command is one function that adds its own parser and names the function that runs it, so that
a further command is a further function in `_COMMANDS`. Whatever a command needs is imported when
it runs: ``--help`` and a mistyped option answer at once. The commands for files are those of
`_files`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from sklearn_histeq._cli.atomic_write import ending_on_signals
from sklearn_histeq._cli.errors import FileError, UsageError
from sklearn_histeq._cli.files.options import Commands, add_clahe, add_equalize, add_match

_DEMO = """\
Shows what histogram equalization does for face recognition.

Without --data it uses the 200 pictures of 25x25 pixels that come with
scikit-image (no network needed): faces are told from other things by
classifiers trained on the pictures as they are and tested on copies under
other lights. These are simulated: a random gamma, gain and bias for each
picture, or light that falls from its left or its right.

With --data it recognises people in your own pictures, trained on a random part
of them and, the harder case, trained on the brightest and tested on the
darkest.

The columns are the pictures as they are (raw), each picture minus its mean and
divided by its standard deviation (standardised, the simple remedy to beat),
HistogramEqualizer (equalized), AdaptiveHistogramEqualizer (tiles) and
HistogramMatcher (matched). GridSearchCV then chooses among these three, their
parameters and "passthrough", no equalization. The last thing written is a
picture: faces before and after, with their histograms and CDFs.
"""

_DATA = """\
your own faces: an .npz file with X, shape (n, height, width) or
(n, 1, height, width), and y, who is in each picture (numbers or text); or a
folder with one subfolder of pictures (PGM, PNG, JPEG) for each person, all of
one size. People with a single picture are left out, large pictures are reduced
"""

_EXAMPLES = """\
examples:
  %(prog)s
  %(prog)s --data faces.npz --output faces.png
  %(prog)s --data pictures/ --repeats 10 --n-jobs 2
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; those of the process if None.

    Returns
    -------
    int
        The exit status: 0, 1 after an error, 2 for wrong options, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no error
            stream.reconfigure(errors="replace")
    arguments = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args([_hyphenated(argument) for argument in arguments])
    try:
        with ending_on_signals():
            status: int = options.run(options)
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _fail("interrupted", status=130)
    except BrokenPipeError:  # `... | head`: the reader has left, and so do we
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except UsageError as error:
        return _fail(f"error: {error}", status=2)
    except FileError as error:
        return _fail(f"error: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"error: {where}{error.strerror or error}")
    except MemoryError:
        return _fail("error: not enough memory")


class _Parser(argparse.ArgumentParser):
    """A parser that tells what is wrong in one line, as the commands do."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the options, and leave."""
        self.exit(2, f"histeq: error: {message} (see {self.prog} --help)\n")


def _hyphenated(argument: str) -> str:
    """Return an argument, an option's name with hyphens: it may be spelt as the parameter is."""
    name, *value = argument.split("=", 1)
    return "=".join([name.replace("_", "-"), *value]) if name.startswith("--") else argument


def _parser() -> _Parser:
    """Build the parser with all commands."""
    from sklearn_histeq import __version__

    as_module = Path(sys.argv[0]).name == "__main__.py"
    parser = _Parser(
        prog="python -m sklearn_histeq" if as_module else "histeq",
        description="Histogram equalization of image files, by the estimators of sklearn-histeq.",
        epilog="'%(prog)s COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"sklearn-histeq {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_command in _COMMANDS:
        add_command(commands)
    return parser


def _add_demo(commands: Commands) -> None:
    """Add the command ``demo``."""
    demo = commands.add_parser(
        "demo",
        help="what equalization does for face recognition, on bundled or your own pictures",
        description=_DEMO,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument("--data", type=Path, metavar="PATH", help=_DATA)
    demo.add_argument(
        "--output",
        type=Path,
        metavar="PNG",
        default=Path("demo.png"),
        help="where to write the picture (default: %(default)s); "
        "a file that the demo did not write is never overwritten",
    )
    demo.add_argument(
        "--repeats",
        type=_at_least(1),
        metavar="N",
        help="random draws, behind each ± (default: 20, with --data 5)",
    )
    demo.add_argument(
        "--seed",
        type=_at_least(0),
        metavar="N",
        default=0,
        help="the same number gives the same draws and lights (default: %(default)s)",
    )
    demo.add_argument(
        "--n-jobs",
        type=int,
        metavar="N",
        help="threads for GridSearchCV, as in scikit-learn: -1 is one a core (default: 1)",
    )
    demo.set_defaults(run=_run_demo)


def _run_demo(options: argparse.Namespace) -> int:
    """Run the command ``demo``."""
    from sklearn_histeq._cli.demo import run

    if options.n_jobs == 0:
        return _fail("error: --n-jobs 0, but expected a number other than 0", status=2)
    run(
        data=options.data,
        output=options.output,
        repeats=options.repeats,
        seed=options.seed,
        n_jobs=options.n_jobs,
    )
    return 0


def _at_least(lowest: int) -> Callable[[str], int]:
    """Return a type for argparse: a whole number that is not below `lowest`."""

    def whole_number(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"{text!r}, but expected a whole number >= {lowest}")
        return int(text)

    return whole_number


def _fail(message: str, status: int = 1) -> int:
    """Say in one line what went wrong, and return the exit status."""
    one_line = " ".join(message.split())
    start = "\n" if status == 130 else ""  # below the ^C and the line that tells the progress
    print(f"{start}histeq: {one_line}", file=sys.stderr)
    return status


_COMMANDS = (add_equalize, add_clahe, add_match, _add_demo)
