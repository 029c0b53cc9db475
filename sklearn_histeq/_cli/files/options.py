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
from sklearn_histeq._cli.files.job import ESTIMATORS, FileJob

_FILES = """\
IN is one of
  pictures      one or more files (PNG, JPEG, TIFF, BMP, WebP, PGM, PPM)
  a folder      of pictures, which may be in subfolders. Hidden files and
                folders (.name) are left out, links to folders are not
                followed, and files that are not pictures are skipped
  an .npy file  an array (n, h, w), (n, c, h, w) or (n, h, w, c) of images, or
                (n, n_pixels) with one flattened image per row. It has real
                numbers and any size: it is read and written by blocks. A single
                image has the shape (1, h, w)
OUT is a file or a folder. For a folder or several files as IN, it is a folder,
which is created if it is missing. In a folder, files keep their names, and
pictures their formats. A single picture is converted if OUT ends in another
format.

OUT appears when it is complete, or not at all. Nothing is replaced without
--overwrite. If a picture cannot be processed, it is reported and the others
are processed. The exit status is 0, 1 if something could not be processed, 2
for wrong options, 130 after Ctrl-C, and 128 plus the number of another signal.
"""

_PICTURES = """\
pictures:
  Only the pixels change: depth, alpha, pages, Exif, color profile, resolution,
  text and tags stay, or the picture is refused. The exceptions: palettes and
  fewer than 8 bits become 8 bits per channel, JPEG and lossy WebP are written
  with quality 95, and previews inside a file are removed, because they show
  the old picture.
"""

_DESCRIPTIONS = {
    "equalize": "Equalizes the histogram of every image. Each channel of each image gets its own\n"
    "transfer function; with --scope dataset, all images share one per channel.\n",
    "clahe": "Equalizes every image tile by tile with limited contrast (CLAHE). This also\n"
    "removes light that falls from one side.\n",
    "local": "Equalizes every pixel by its rank in the window around it. This removes all\n"
    "light that changes slowly, and with it the coarse shading.\n",
    "match": "Gives every image the histogram of a reference. The reference is a given image,\n"
    "or the mean of all images in IN, or of those in TRAIN.\n",
}

_EXAMPLES = {
    "equalize": """\
examples:
  histeq equalize dark.jpg light.jpg --color value
  histeq equalize photos/ equalized/ --color value --n-jobs 2
  histeq equalize *.png equalized/
  histeq equalize test.npy out.npy --scope dataset --fit train.npy
""",
    "clahe": """\
examples:
  histeq clahe xray.tif out.tif --plot before_after.png
  histeq clahe scans/ out/ --tile-shape 64,64 --n-jobs -1
  histeq clahe faces.npy out.npy --n-tiles 4
""",
    "local": """\
examples:
  histeq local face.png out.png
  histeq local photos/ out/ --window 0.25 --color value
  histeq local faces.npy out.npy --window 5 --dtype float32
""",
    "match": """\
examples:
  histeq match photos/ out/ --reference best.jpg --color value
  histeq match faces.npy out.npy
  histeq match test.npy out.npy --fit train.npy --dtype uint8
""",
}

PICTURE_DTYPE = "input"  # the default of --dtype for pictures, which keep their depth

_COMMON = {
    "color": "channels: each channel by itself; value: RGB or RGBA by the largest of the three"
    " channels, which keeps the hue of photographs",
    "channel_axis": "where an .npy of 4 dimensions has its channels: 1 for (n, c, h, w), -1 for"
    " (n, h, w, c)",
    "image_shape": "height,width of the images in an .npy of 2 dimensions",
    "dtype": "type of the output: input, uint8, uint16, float32 or float64; none: as in"
    f" Python, mostly float64; the default for pictures is {PICTURE_DTYPE}",
    "n_jobs": "number of threads; -1 uses all processors, none uses one; the result is the same",
}
_PARAMETERS = {
    "equalize": {
        "n_bins": "number of histogram bins; auto: one per level for integers, 256 for floats",
        "convention": "library whose result is reproduced: skimage, numpy, opencv or pillow",
        "scope": "image: each image has its own transfer function; dataset: all images share one,"
        " which is learned from all of IN, or of TRAIN, in a first pass",
        "output_distribution": "uniform or normal",
    },
    "clahe": {
        "n_tiles": "number of tiles along each axis, or rows,columns",
        "tile_shape": "pixels of a tile along each axis, or rows,columns; replaces --n-tiles",
        "clip_limit": "largest slope of a transfer function, 1 is the identity; auto: the usual"
        " limit of the convention; none: no limit",
        "n_bins": "number of histogram bins",
        "convention": "arithmetic to use: histeq, skimage or opencv",
    },
    "local": {
        "window": "side of the window: a share of the shorter side of the images, with a decimal"
        " point, or an odd number of pixels",
        "convention": "arithmetic to use: histeq or skimage",
    },
    "match": {},
}
_METAVARS = {
    "n_bins": "N",
    "n_tiles": "N",
    "tile_shape": "N",
    "n_jobs": "N",
    "clip_limit": "X",
    "window": "X",
    "channel_axis": "AXIS",
    "image_shape": "H,W",
}

_REFERENCE = "a picture, or an .npy of one image with the layout of those in IN"
_FIT = "an .npy file or a folder, to learn from instead of IN"

Commands = Any  # argparse has no public name for what a parser adds commands to


def add_equalize(commands: Commands) -> None:
    """Add the command ``equalize``."""
    command = _add(commands, "equalize", "equalize the histogram of every image")
    command.add_argument("--fit", type=Path, metavar="TRAIN", help=f"{_FIT}; needs --scope dataset")


def add_clahe(commands: Commands) -> None:
    """Add the command ``clahe``."""
    _add(commands, "clahe", "equalize tile by tile, with limited contrast (CLAHE)")


def add_local(commands: Commands) -> None:
    """Add the command ``local``."""
    _add(commands, "local", "equalize every pixel by the window around it")


def add_match(commands: Commands) -> None:
    """Add the command ``match``."""
    command = _add(commands, "match", "give every image the histogram of a reference")
    either = command.add_mutually_exclusive_group()
    either.add_argument("--reference", type=Path, metavar="R", help=_REFERENCE)
    either.add_argument("--fit", type=Path, metavar="TRAIN", help=_FIT)


def _add(commands: Commands, name: str, summary: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have, and those of its estimator."""
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=_DESCRIPTIONS[name] + "\n" + _FILES,
        epilog=_PICTURES + "\n" + _EXAMPLES[name],
        usage="%(prog)s IN... OUT [options]",  # argparse lays out its own anew in each release
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # one list: argparse would not find OUT if options stand between the inputs and OUT
    command.add_argument("paths", nargs="*", metavar="IN... OUT", help="what to read and to write")
    command.add_argument("--overwrite", action="store_true", help="replace what exists")
    command.add_argument(
        "--quiet", action="store_true", help="show only errors, no progress, warnings or summary"
    )
    command.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw some images before and after, with their histograms (needs matplotlib)",
    )
    _add_parameters(command, name)
    command.set_defaults(prepare=_prepare, command=name, parser=command)
    return command


def _add_parameters(command: argparse.ArgumentParser, name: str) -> None:
    """Add an option for each parameter of the command's estimator, with its default."""
    defaults = ESTIMATORS[name]().get_params()
    group = command.add_argument_group("parameters")
    for parameter, text in (_PARAMETERS[name] | _COMMON).items():
        default = defaults[parameter]
        group.add_argument(
            "--" + parameter.replace("_", "-"),
            type=_value,
            metavar=_METAVARS.get(parameter, "NAME"),
            help=f"{text} (default: {'none' if default is None else default})",
            default=argparse.SUPPRESS,  # a parameter that is not given keeps its default
        )


def _prepare(options: argparse.Namespace) -> Callable[[], int]:
    """Return the work of one of the commands."""
    from sklearn_histeq._cli.files import run

    given, paths = vars(options), options.paths
    if len(paths) < 2:
        raise UsageError(
            f"the following arguments are required: {'OUT' if paths else 'IN, OUT'} (see histeq"
            f" {options.command} --help)"
        )
    if "-" in paths:
        raise UsageError("-, but expected names: standard input and output are not used")
    if "" in paths:
        raise UsageError("an empty name, but expected the name of a file or folder")
    names = _PARAMETERS[options.command] | _COMMON
    job = FileJob(
        command=options.command,
        sources=tuple(Path(path) for path in paths[:-1]),
        target=Path(paths[-1]),
        params={name: given[name] for name in names if name in given},
        reference=given.get("reference"),
        train=given.get("fit"),
        overwrite=options.overwrite,
        quiet=options.quiet,
        plot=options.plot,
    )
    return partial(run, job)


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
