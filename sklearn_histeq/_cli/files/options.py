"""The commands for files: their options, which have the names of the parameters, and their help.

Every default is read from the estimator, so that no help text can differ from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sklearn_histeq._cli.errors import UsageError
from sklearn_histeq._cli.files.job import ESTIMATORS, MAX_PIXELS, FileJob, spelled

_FILES = """
IN is pictures (PNG, JPEG, TIFF, BMP, WebP, PGM, PPM), a folder of pictures, which may
be in subfolders, or an .npy file of images: (n, h, w), (n, c, h, w), (n, h, w, c), or
(n, n_pixels) with one flattened image per row. OUT is a file, or a folder if IN is a
folder or several files. A single picture is converted if OUT ends in another format.

Only pixels change: all else is kept, or the picture is refused with a reason. Each output
is complete or absent. A picture that cannot be processed is reported, and the others are
processed. The exit status is 0, 1 if something could not be processed, 2 for wrong
options, 130 after Ctrl-C, and 128 plus the number of another signal.
"""

_COMMANDS = {  # summary, description, and the options of the examples
    "equalize": (
        "equalize the histogram of every image",
        "Equalizes the histogram of every image. Each channel of each image gets its own transfer"
        " function; with --scope dataset, all images share one per channel.",
        ("dark.jpg light.jpg --color value", "test.npy out.npy --scope dataset --fit train.npy"),
    ),
    "clahe": (
        "equalize tile by tile, with limited contrast (CLAHE)",
        "Equalizes every image tile by tile with limited contrast (CLAHE). This also removes light"
        " that falls from one side.",
        ("xray.tif out.tif --plot before_after.png", "scans/ out/ --tile-shape 64,64 --n-jobs -1"),
    ),
    "local": (
        "equalize every pixel by the window around it",
        "Equalizes every pixel by its rank in the window around it. This removes all light that"
        " changes slowly, and with it the coarse shading.",
        ("photos/ out/ --window 0.25 --color value", "faces.npy out.npy --window 5"),
    ),
    "match": (
        "give every image the histogram of a reference",
        "Gives every image the histogram of a reference. The reference is a given image, or the"
        " mean of all images in IN, or of those in TRAIN.",
        ("photos/ out/ --reference best.jpg --color value", "test.npy out.npy --fit train.npy"),
    ),
}

PICTURE_DTYPE = "input"  # the default of --dtype for pictures, which keep their depth

_COMMON = {
    "color": "channels: each by itself; value: RGB or RGBA by their largest, which keeps hues;"
    " luminance: by the Y of YCrCb; lightness: by the L of Lab",
    "channel_axis": "channels of an .npy of 4 dimensions: 1 for (n, c, h, w), -1 for (n, h, w, c)",
    "image_shape": "height,width of the images in an .npy of 2 dimensions",
    "dtype": "type of the output: input, uint8, uint16, float32 or float64; none: as in"
    f" Python, mostly float64; the default for pictures is {PICTURE_DTYPE}",
    "n_jobs": "number of threads; -1 uses all processors, none uses one; the result is the same",
}
_RANGES = {
    "value_range": "what the bins span: low,high, or dtype; none: the range of each plane",
    "quantile_range": "the same between two quantiles of each plane, in percent: low,high",
}
_PARAMETERS = {
    "equalize": {
        "n_bins": "number of histogram bins; auto: one per level for integers, 256 for floats",
        **_RANGES,
        "convention": "library whose result is reproduced: skimage, numpy, opencv or pillow",
        "scope": "image: one transfer function per image; dataset: one learned from IN or TRAIN",
        "output_distribution": "uniform or normal",
    },
    "clahe": {
        "n_tiles": "number of tiles along each axis, or rows,columns",
        "tile_shape": "pixels of a tile along each axis, or rows,columns; replaces --n-tiles",
        "clip_limit": "largest slope of a transfer function; auto: as usual; none: no limit",
        "n_bins": "number of histogram bins",
        **_RANGES,
        "convention": "arithmetic to use: histeq, skimage or opencv",
    },
    "local": {
        "window": "side of the window: a share of the shorter side (0.5), or odd pixels (5)",
        "convention": "arithmetic to use: histeq or skimage",
    },
    "match": {},
}
_METAVARS = dict.fromkeys(("n_bins", "n_tiles", "tile_shape", "n_jobs"), "N")
_METAVARS |= dict.fromkeys(_RANGES, "LOW,HIGH")
_METAVARS |= {"clip_limit": "X", "window": "X", "channel_axis": "AXIS", "image_shape": "H,W"}
_REFERENCE = "a picture, or an .npy of one image with the layout of those in IN"
_FIT = "an .npy file or a folder, to learn from instead of IN"
_NEEDS = "; needs --scope dataset"

Commands = Any  # argparse has no public name for what a parser adds commands to


def add_all(commands: Commands) -> None:
    """Add the commands for files."""
    for name in _COMMANDS:
        command = _add(commands, name)
        if name == "equalize":
            command.add_argument("--fit", type=Path, metavar="TRAIN", help=_FIT + _NEEDS)
        elif name == "match":
            either = command.add_mutually_exclusive_group()
            either.add_argument("--reference", type=Path, metavar="R", help=_REFERENCE)
            either.add_argument("--fit", type=Path, metavar="TRAIN", help=_FIT)


def _add(commands: Commands, name: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have, and those of its estimator."""
    summary, description, examples = _COMMANDS[name]
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description + "\n" + _FILES,
        epilog="examples:\n" + "\n".join(f"  %(prog)s {example}" for example in examples),
        usage="%(prog)s IN... OUT [options]",  # argparse lays out its own anew in each release
        formatter_class=Paragraphs,
        allow_abbrev=False,
    )
    # one list: argparse would not find OUT if options stand between the inputs and OUT
    command.add_argument("paths", nargs="*", metavar="IN... OUT", help="what to read and to write")
    existing = command.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace what exists")
    go_on = "leave out what exists in OUT, to go on with an interrupted run"
    existing.add_argument("--skip-existing", action="store_true", help=go_on)
    quiet = "show only errors, no progress, warnings or summary"
    command.add_argument("--quiet", action="store_true", help=quiet)
    plot = "draw some images before and after, with their histograms (needs matplotlib)"
    command.add_argument("--plot", type=Path, metavar="FILE.png", help=plot)
    most = "refuse pictures with more pixels than this in all their pages (default: %(default)s)"
    command.add_argument("--max-pixels", type=_count, metavar="N", help=most, default=MAX_PIXELS)
    defaults = ESTIMATORS[name]().get_params()
    group = command.add_argument_group("parameters")
    for parameter, text in (_PARAMETERS[name] | _COMMON).items():
        default = spelled(defaults[parameter])
        group.add_argument(
            "--" + parameter.replace("_", "-"),
            type=_value,
            metavar=_METAVARS.get(parameter, "NAME"),
            help=f"{text} (default: {default})",
            default=argparse.SUPPRESS,  # a parameter that is not given keeps its default
        )
    command.set_defaults(prepare=_prepare, command=name, parser=command)
    return command


class Paragraphs(argparse.RawDescriptionHelpFormatter):
    """Fills the paragraphs of a text, but not those that are indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = argparse.HelpFormatter._fill_text
        parts = text.strip().split("\n\n")
        return "\n\n".join(p if "\n  " in p else fill(self, p, width, indent) for p in parts)


def _prepare(options: argparse.Namespace) -> Callable[[], int]:
    """Return the work of one of the commands."""
    from sklearn_histeq._cli.files import run

    given, paths = vars(options), options.paths
    if len(paths) < 2:
        missing = "OUT" if paths else "IN, OUT"
        what = f"the following arguments are required: {missing}"
        raise UsageError(f"{what} (see histeq {options.command} --help)")
    if "-" in paths:
        raise UsageError("-, but expected names: standard input and output are not used")
    if "" in paths:
        raise UsageError("an empty name, but expected the name of a file or folder")
    names = _PARAMETERS[options.command] | _COMMON
    job = FileJob(
        options.command,
        tuple(Path(path) for path in paths[:-1]),
        Path(paths[-1]),
        {name: given[name] for name in names if name in given},
        given.get("reference"),
        given.get("fit"),
        **{name: given[name] for name in ("overwrite", "skip_existing", "quiet", "plot")},
        max_pixels=options.max_pixels,
    )
    return partial(run, job)


def _count(text: str) -> int:
    """Read a number of pixels."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, but expected an integer >= 1")
    return int(text)


def _value(text: str) -> Any:
    """Read a parameter: none, a number, several separated by commas, or a name.

    The estimator decides which of them it accepts.
    """
    if text.lower() == "none":
        return None
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(",") if part.strip())
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text
