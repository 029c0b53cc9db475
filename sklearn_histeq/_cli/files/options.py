"""The commands for files: their options, which bear the parameters' names, and their help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_FILES = """\
IN and OUT are both one of
  an .npy file  an array (n, h, w), (n, c, h, w) or (n, h, w, c) of images, or
                one flattened image a row, (n, n_pixels); any real dtype, any
                size: it is read and written block by block. One image alone
                must be (1, h, w)
  a folder      of pictures (PNG, JPEG, TIFF, BMP, WebP, PGM, PPM), in
                subfolders or not. OUT gets the same names, formats and bit
                depths; other files are left out
  a picture     one file; where OUT ends in another format, it is converted

OUT appears when all is done, or not at all, and is never written over without
--overwrite. A picture that cannot be done is named, the others are done.
Exit status: 0, 1 if anything could not be done, 2 for wrong options, 130 after
Ctrl-C.
"""

_PICTURES = """\
pictures:
  Alpha stays as it is. Palette and black-and-white pictures come out in 8 bits
  a colour. JPEG is written with quality 95 and the subsampling it had; TIFF as
  deflate if it was compressed. Colour profile, resolution and EXIF are kept
  (without EXIF's small preview).
"""

_EQUALIZE = f"""\
Equalizes the histogram of every image, each channel by itself: one curve an
image, or with --scope dataset one for all.

{_FILES}"""

_CLAHE = f"""\
Equalizes every image tile by tile with limited contrast (CLAHE), which also
removes light that falls from one side.

{_FILES}"""

_MATCH = f"""\
Gives every image the histogram of a reference: that of a given image, or the
mean of those of all images in IN, or of those in TRAIN.

{_FILES}"""

_EXAMPLES = {
    "equalize": """\
examples:
  histeq equalize faces.npy equalized.npy --dtype uint8
  histeq equalize photos/ equalized/ --color value
  histeq equalize dark.jpg light.jpg
  histeq equalize test.npy out.npy --scope dataset --fit train.npy
""",
    "clahe": """\
examples:
  histeq clahe faces.npy out.npy --n-tiles 8 --clip-limit 4
  histeq clahe scans/ out/ --tile-shape 64,64 --n-jobs -1
  histeq clahe xray.tif out.tif --plot before_after.png
""",
    "match": """\
examples:
  histeq match photos/ out/ --reference best.jpg --color value
  histeq match faces.npy out.npy
  histeq match test.npy out.npy --fit train.npy --dtype uint8
""",
}

_ABOUT_DTYPE = (
    "type of the output: input, uint8, uint16, float32 or float64 (default: input for pictures;"
    " for .npy {})"
)
_COMMON = [
    (
        "--color",
        "NAME",
        "channels: each by itself (default); value: RGB or RGBA by the brightest of the three,"
        " which keeps the hue",
    ),
    (
        "--channel-axis",
        "AXIS",
        "where an .npy of 4 dimensions has its channels: 1 for (n, c, h, w) (default),"
        " -1 for (n, h, w, c)",
    ),
    (
        "--image-shape",
        "H,W",
        "shape of the images that are the rows of an .npy of 2 dimensions",
    ),
]
_N_JOBS = (
    "--n-jobs",
    "N",
    "threads, as in scikit-learn: -1 is one a core (default: 1); the result is the same",
)
_SCALED = "float64, or float32 for images in float32 and float16"

_PARAMETERS = {
    "equalize": [
        (
            "--n-bins",
            "N",
            "histogram bins, or auto (default): one a level for integers, 256 for floats",
        ),
        (
            "--convention",
            "NAME",
            "whose result it is: skimage (default), numpy, opencv or pillow",
        ),
        (
            "--scope",
            "NAME",
            "image: each by its own curve (default); dataset: one curve a channel, learned from"
            " all of IN, or of TRAIN, in a first pass",
        ),
        ("--output-distribution", "NAME", "uniform (default) or normal"),
        *_COMMON,
        ("--dtype", "NAME", _ABOUT_DTYPE.format("the convention's own")),
        _N_JOBS,
    ],
    "clahe": [
        ("--n-tiles", "N", "tiles along each axis, or rows,columns (default: 8)"),
        ("--tile-shape", "N", "pixels of a tile along each axis, or rows,columns, instead"),
        (
            "--clip-limit",
            "X",
            "the steepest slope allowed, as a multiple of a level histogram's; none clips nothing"
            " (default: 4)",
        ),
        ("--n-bins", "N", "histogram bins (default: 256)"),
        (
            "--convention",
            "NAME",
            "whose arithmetic it is: histeq (default), skimage or opencv",
        ),
        *_COMMON,
        ("--dtype", "NAME", _ABOUT_DTYPE.format(_SCALED)),
        _N_JOBS,
    ],
    "match": [
        *_COMMON,
        ("--dtype", "NAME", _ABOUT_DTYPE.format(_SCALED)),
        _N_JOBS,
    ],
}

_REFERENCE = "a picture, or an .npy of one image laid out as those of IN"
_FIT = "an .npy file or a folder, as IN is, to learn from instead of IN"

Commands = Any  # argparse has no public name for what a parser adds commands to


def add_equalize(commands: Commands) -> None:
    """Add the command ``equalize``."""
    summary = "equalize the histogram of every image"
    command = _add(commands, "equalize", summary, _EQUALIZE)
    command.add_argument("--fit", type=Path, metavar="TRAIN", help=f"{_FIT} (--scope dataset)")


def add_clahe(commands: Commands) -> None:
    """Add the command ``clahe``."""
    _add(commands, "clahe", "equalize tile by tile, with limited contrast (CLAHE)", _CLAHE)


def add_match(commands: Commands) -> None:
    """Add the command ``match``."""
    command = _add(commands, "match", "give every image the histogram of a reference", _MATCH)
    either = command.add_mutually_exclusive_group()
    either.add_argument("--reference", type=Path, metavar="R", help=_REFERENCE)
    either.add_argument("--fit", type=Path, metavar="TRAIN", help=_FIT)


def _add(commands: Commands, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have, and those of its estimator."""
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=_PICTURES + "\n" + _EXAMPLES[name],
        usage="%(prog)s IN OUT [options]",  # argparse's own is laid out anew in each release
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("source", type=Path, metavar="IN", help="what to read")
    command.add_argument("target", type=Path, metavar="OUT", help="what to write")
    command.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    command.add_argument(
        "--quiet", action="store_true", help="no progress bar and no warnings, errors alone"
    )
    command.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw some images before and after, with their histograms (takes matplotlib)",
    )
    group = command.add_argument_group("parameters")
    for option, metavar, text in _PARAMETERS[name]:
        # not given, a parameter has the estimator's own default
        group.add_argument(
            option, type=_value, metavar=metavar, help=text, default=argparse.SUPPRESS
        )
    command.set_defaults(run=_run, command=name)
    return command


def _run(options: argparse.Namespace) -> int:
    """Run one of the commands."""
    from sklearn_histeq._cli.files import run
    from sklearn_histeq._cli.files.job import FileJob

    names = [option[2:].replace("-", "_") for option, _, _ in _PARAMETERS[options.command]]
    given = vars(options)
    job = FileJob(
        command=options.command,
        source=options.source,
        target=options.target,
        params={name: given[name] for name in names if name in given},
        reference=given.get("reference"),
        train=given.get("fit"),
        overwrite=options.overwrite,
        quiet=options.quiet,
        plot=options.plot,
    )
    return run(job)


def _value(text: str) -> Any:
    """Read a parameter: None, numbers, some of them with commas, or a name; no rule but that.

    What it may be is for the estimator to say, in the same words as to its other users.
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
