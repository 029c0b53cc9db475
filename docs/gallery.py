"""How sphinx-gallery saves the figures of the gallery, and the pictures on its cards."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sphinx.errors import ExtensionError
from sphinx_gallery.scrapers import matplotlib_scraper

GROUPS = ["equalize", "light", "match", "pipelines", "data"]
# Which axes of an example's first figure are side by side on its card: an image before and after.
CARDS = {
    "plot_01_one_light": (4, 5),
    "plot_02_side_light": (1, 3),
    "plot_03_conventions": (2, 6),
    "plot_04_colour": (0, 2),
    "plot_05_missing_pixels": (0, 2),
    "plot_06_matching": (1, 3),
    "plot_07_document": (0, 2),
    "plot_08_recognise": (2, 10),
    "plot_09_choose": (0,),
    "plot_10_missing_in_a_pipeline": (4, 12),
    "plot_11_dask": (0, 1),
    "plot_12_windows": (2, 17),
    "plot_13_relight": (6, 30),
    "plot_14_scanners": (4, 6),
    "plot_15_volumes": (1, 2),
}


def described_figures(block, block_vars, gallery_conf):
    """Save the figures of a block, with its comments "Figure: ..." as alternative texts."""
    if plt.get_fignums() and not len(block_vars["image_path_iterator"]):
        save_card(Path(block_vars["src_file"]).stem, next(block_vars["image_path_iterator"]))
    page = matplotlib_scraper(block, block_vars, gallery_conf)
    texts = re.findall(r"^# Figure: (.*(?:\n# .*)*)", block[1], re.MULTILINE)
    if len(texts) != page.count(":alt:"):
        raise ExtensionError("A figure of the gallery lacks its comment '# Figure: what it shows'")
    texts = iter(texts)
    return re.sub(":alt:.*", lambda _: ":alt: " + next(texts).replace("\n#", ""), page)


def save_card(example, path):
    """Save axes of the first figure side by side; the first image of an example is on its card."""
    figure = plt.figure(plt.get_fignums()[0])
    figure.set_dpi(300)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    parts = []
    for axes in (figure.axes[index] for index in CARDS[example]):
        left, bottom, right, top = (round(x) for x in axes.get_window_extent().extents)
        part = Image.fromarray(pixels[len(pixels) - top : len(pixels) - bottom, left:right])
        parts.append(np.asarray(part.resize((280 * part.width // part.height, 280))))
    figure.set_dpi(plt.rcParams["figure.dpi"])
    Image.fromarray(np.hstack(parts)).save(path)
