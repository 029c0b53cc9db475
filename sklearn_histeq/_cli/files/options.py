"""The commands for files: their options, which have the names of the parameters, and their help.

Every default is read from the estimator, so that no help text can differ from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

from sklearn_histeq._cli.arguments import Commands, Paragraphs, at_least, value
from sklearn_histeq._cli.errors import UsageError
from sklearn_histeq._cli.files.job import ESTIMATORS, MAX_PIXELS, FileJob, spelled

_FILES = """
IN is pictures (PNG, JPEG, TIFF, BMP, WebP, PGM, PPM), a folder of pictures, which may
be in subfolders, or an .npy file of images: (n, h, w), (n, c, h, w), (n, h, w, c), or
(n, n_pixels) with one flattened image per row. OUT is a file, or a folder if IN is a
folder or several files. A single picture is converted if OUT ends in another format.
"""

_SUMMARIES = {
    "equalize": "equalize the histogram of every image",
    "clahe": "equalize tile by tile, with limited contrast (CLAHE)",
    "local": "equalize every pixel by the window around it",
    "match": "give every image the histogram of a reference",
}
_MORE = {
    "equalize": "Each channel gets its own transfer function, or one for all images by --scope.",
    "clahe": "This also removes light that falls from one side.",
    "local": "This removes all light that changes slowly, and with it the coarse shading.",
    "match": "The reference is a given image, or the mean of all in IN, or of those in TRAIN.",
}

_COMMON = {
    "color": "channels: each by itself; value: by the largest of R, G and B, which keeps hues;"
    " luminance: by the Y of YCrCb; lightness: by the L of Lab",
    "channel_axis": "channels of an .npy of 4 dimensions: 1 for (n, c, h, w), -1 for (n, h, w, c)",
    "image_shape": "height,width of the images in an .npy of 2 dimensions",
    "spatial_dims": "2: images; 3: volumes of an .npy, (n, d, h, w) or with channels",
    "dtype": "type of the output: input, uint8, uint16, float32 or float64; none: as in"
    " Python, mostly float64; the default for pictures is input",
    "n_jobs": "number of threads; -1 uses all processors, none uses one; the result is the same",
}
_RANGES = {
    "value_range": "range that the bins cover: low,high, or dtype; none: the range of each plane",
    "quantile_range": "range between two quantiles of each plane, in percent: low,high",
}
_PARAMETERS = {
    "equalize": {
        "n_bins": "number of histogram bins; auto: one per level for integers, 256 for floats",
        **_RANGES,
        "convention": "library whose result is reproduced: skimage, numpy, opencv or pillow",
        "scope": "image: one transfer function per image; dataset: one learned from IN or TRAIN",
        "output_distribution": "uniform or normal",
        "strength": "how far pictures are equalized, from 0 (not at all) to 1 (completely)",
    },
    "clahe": {
        "n_tiles": "number of tiles along each axis, or rows,columns",
        "tile_shape": "pixels of a tile along each axis, or rows,columns; replaces --n-tiles",
        "clip_limit": "largest slope of a transfer function; auto: the usual limit; none: no limit",
        "n_bins": "number of histogram bins",
        **_RANGES,
        "convention": "definition to use: histeq, skimage or opencv",
    },
    "local": {
        "window": "side: a share of the shorter side (0.5), or an odd number of pixels (5 or 3,5)",
        "convention": "definition to use: histeq or skimage",
    },
    "match": {
        "landmarks": "percentiles to match, for example 5,50,95; nyul: 1,10,20,...,90,99",
        "standard_range": "values of the first and the last landmark: low,high",
        "strength": "how far pictures are matched, from 0 (not at all) to 1 (completely)",
    },
}
_METAVARS = dict.fromkeys(("n_bins", "n_tiles", "tile_shape", "spatial_dims", "n_jobs"), "N")
_METAVARS |= dict.fromkeys((*_RANGES, "standard_range"), "LOW,HIGH")
_METAVARS |= dict.fromkeys(("clip_limit", "window", "landmarks", "strength"), "X")
_METAVARS |= {"channel_axis": "AXIS", "image_shape": "H,W"}
_REFERENCE = "a picture, or an .npy of one image with the layout of those in IN"
_FIT = "an .npy file or a folder, to learn from instead of IN; equalize needs --scope dataset"


def add_all(commands: Commands) -> None:
    """Add the commands for files."""
    for name in _SUMMARIES:
        either = _add(commands, name).add_mutually_exclusive_group()
        if name == "match":
            either.add_argument("--reference", type=Path, metavar="R", help=_REFERENCE)
        if name in ("equalize", "match"):
            either.add_argument("--fit", dest="train", type=Path, metavar="TRAIN", help=_FIT)


def _add(commands: Commands, name: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have, and those of its estimator."""
    summary = _SUMMARIES[name]
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {_MORE[name]}\n{_FILES}",
        usage="%(prog)s IN... OUT [options]",  # argparse lays out its own anew in each release
        formatter_class=Paragraphs,
        allow_abbrev=False,
    )
    # one list: argparse would not find OUT if options stand between the inputs and OUT
    command.add_argument("paths", nargs="*", metavar="IN... OUT", help="what to read and to write")
    existing = command.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    go_on = "skip outputs that exist, to continue an interrupted run"
    existing.add_argument("--skip-existing", action="store_true", help=go_on)
    quiet = "show only errors, no progress, warnings or summary"
    command.add_argument("--quiet", action="store_true", help=quiet)
    plot = "draw some images before and after, with their histograms (needs matplotlib)"
    command.add_argument("--plot", type=Path, metavar="FILE.png", help=plot)
    most = "refuse pictures with more pixels than this in all their pages (default: %(default)s)"
    number = at_least(1)
    command.add_argument("--max-pixels", type=number, metavar="N", default=MAX_PIXELS, help=most)
    defaults = ESTIMATORS[name]().get_params()
    group = command.add_argument_group("parameters")
    for parameter, text in (_PARAMETERS[name] | _COMMON).items():
        default = spelled(defaults[parameter])
        group.add_argument(
            "--" + parameter.replace("_", "-"),
            type=value,
            metavar=_METAVARS.get(parameter, "NAME"),
            help=f"{text} (default: {'none' if default is None else default})",
            default=argparse.SUPPRESS,  # a parameter that is not given keeps its default
        )
    command.set_defaults(prepare=_prepare, command=name, parser=command)
    return command


def _prepare(options: argparse.Namespace) -> Callable[[], int]:
    """Return the work of one of the commands."""
    from sklearn_histeq._cli.files import run

    given, paths = vars(options), options.paths
    if len(paths) < 2:
        what = f"the following arguments are required: {'OUT' if paths else 'IN, OUT'}"
        raise UsageError(f"{what} (see histeq {options.command} --help)")
    if "" in paths:
        raise UsageError("an empty name, but expected the name of a file or folder")
    parameters = _PARAMETERS[options.command] | _COMMON
    job = FileJob(
        sources=tuple(Path(path) for path in paths[:-1]),
        target=Path(paths[-1]),
        params={name: given[name] for name in parameters if name in given},
        **{field.name: given[field.name] for field in fields(FileJob) if field.name in given},
    )
    return partial(run, job)
