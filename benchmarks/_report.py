"""Measurements as tables: lines on the terminal, and CSV files in docs/measurements."""

import csv
import datetime
import math
import os
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
import skimage

from sklearn_histeq._engine import describe

FOLDER = Path(__file__).parents[1] / "docs" / "measurements"


def table(head, rows):
    """Return a head and rows as lists of text; each row is printed as it comes."""
    found = [head.split(" | ")]
    for row in rows:
        found.append([text(cell) for cell in row])
        print(*found[-1], sep=" | ", flush=True)
    return found


def text(cell):
    """Return a number with three digits, a dash for NaN, and text as it is."""
    if not isinstance(cell, float):
        return str(cell)
    if math.isnan(cell):
        return "–"
    return f"{cell:.{max(0, 2 - math.floor(math.log10(cell)))}f}"


def write(tables):
    """Write tables to docs/measurements/speed_NAME.csv: {name: table}."""
    for name, lines in tables.items():
        with open(FOLDER / f"speed_{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)


def machine(rounds):
    """Return a head and a row: where, with which releases, when, and in how many rounds."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    about = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    cpu = about.get("model name") or platform.processor()
    if "cpu family" in about:  # a virtual machine may hide the rest of the name
        cpu += f" (family {about['cpu family']}, model {about['model']})"
    releases = [module.__version__ for module in (np, skimage, cv2, PIL)]
    head = "processor | cores | engine | NumPy | scikit-image | OpenCV | Pillow | date | rounds"
    today = f"{datetime.date.today():%d %B %Y}"
    return head, [[cpu, os.cpu_count(), describe(), *releases, today, rounds]]
