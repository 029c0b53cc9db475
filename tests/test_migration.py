"""docs/migration.md: every line that it sets beside another library's gives what it says.

A pair of lines gives the same bits, unless it says "within N levels".
"""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from _helpers import OPENCV_FUSES
from skimage import data, exposure

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer

cv2 = pytest.importorskip("cv2")

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def is_set_up(block):
    return block.startswith(("def ", "import ", "batch = "))


PAIRS = [pair for block in BLOCKS if not is_set_up(block) for pair in block.strip().split("\n\n")]


def namespace():
    """What the page says that its names mean; kornia's tensor is replaced by an array's."""
    grays = data.camera()[None, None, :96, :96] / np.float32(255)
    known = {"tensor": SimpleNamespace(numpy=lambda: grays)}
    for block in filter(is_set_up, BLOCKS):
        exec(block, known)
    return known


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.split("\n")[0] for pair in PAIRS])
def test_the_lines_give_what_the_page_says(pair):
    known = namespace()
    theirs, ours = pair.split("\n")
    expected, actual = eval(theirs, known), eval(ours, known)
    claim = re.search(r"# within (\d+) levels?$", theirs)
    if OPENCV_FUSES and ("createCLAHE" in theirs or "clahe_of_lab" in theirs):
        np.testing.assert_allclose(actual.astype(int), expected.astype(int), rtol=0, atol=1)
    elif claim is None:
        np.testing.assert_array_equal(actual, expected, strict=True)
    else:
        far = np.abs(actual.astype(float) - expected.astype(float)).max()
        assert 0 < far <= int(claim[1])


def test_every_peer_has_a_pair():
    for peer in ("cv2.equalizeHist", "cv2.createCLAHE", "equalize_hist", "equalize_adapthist",
                 "match_histograms", "rank.equalize", "ImageOps.equalize", "recipe"):  # fmt: skip
        assert any(peer in pair for pair in PAIRS), peer


def test_the_lines_beside_matlabs_run():
    """They promise no bits, but they are what a reader types."""
    matlab = PAGE[PAGE.index("## MATLAB") :]
    lines = re.findall(r"`((?:Histogram|Adaptive)\w+\(.*?\))`", matlab)
    assert len(lines) >= 5
    known = namespace() | {"ref": data.camera()[:50, :60]}
    for line in lines:
        out = eval(line, known).fit_transform(known["images"])
        assert out.shape == known["images"].shape


def test_scikit_image_ignores_nbins_for_integers():
    image = namespace()["image"]
    expected = exposure.equalize_hist(image, nbins=16)
    np.testing.assert_array_equal(HistogramEqualizer().transform(image[None])[0], expected)
    binned = HistogramEqualizer(n_bins=16).transform(image[None])[0]
    assert (binned != expected).any()


def test_the_order_of_colours_does_not_matter():
    rgb = namespace()["rgb"][None]
    for color in ("channels", "value"):  # the other modes weight them
        equalizer = HistogramEqualizer(color=color, channel_axis=-1)
        turned = equalizer.transform(rgb[..., ::-1])
        np.testing.assert_array_equal(turned[..., ::-1], equalizer.transform(rgb))


def test_pillow_leaves_images_of_few_pixels_alone():
    image = np.full((16, 16), 200, np.uint8)
    image.ravel()[:254] = np.arange(254) // 2
    pillow = HistogramEqualizer(convention="pillow")
    np.testing.assert_array_equal(pillow.transform(image[None])[0], image)
    image.ravel()[254] = 127  # 255 pixels beside the brightest level
    assert (pillow.transform(image[None])[0] != image).any()
    others = [HistogramEqualizer(convention=c) for c in ("skimage", "numpy", "opencv")]
    assert all((other.transform(image[None])[0] != image).any() for other in others)


def torchvision_equalize(plane):
    """torchvision.transforms.functional.equalize of one channel, transcribed for NumPy."""
    counts = np.bincount(plane.ravel(), minlength=256)
    step = counts[counts != 0][:-1].sum() // 255
    if step == 0:
        return plane
    table = (np.cumsum(counts) + step // 2) // step
    return np.concatenate([[0], table[:-1]]).clip(0, 255)[plane].astype(np.uint8)


def test_torchvision_has_pillows_arithmetic():
    images = namespace()["images"]
    tensor = np.stack([images, images[::-1], images[:, ::-1]], axis=1)  # (3, 3, 96, 96)
    expected = [[torchvision_equalize(plane) for plane in image] for image in tensor]
    equalized = HistogramEqualizer(convention="pillow").transform(tensor)
    np.testing.assert_array_equal(equalized, expected)


def monai_equalize_hist(image, mask=None):
    """monai.transforms.utils.equalize_hist with its default arguments, transcribed."""
    counts, centers = exposure.histogram(image if mask is None else image[mask], 256)
    cum = counts.cumsum().astype(np.float32)
    return np.interp(image, centers, 255 * (cum - cum.min()) / (cum.max() - cum.min()))


def test_monais_cumulated_counts_begin_at_0():
    known = namespace()
    volume, mask = known["volume"] / 255, known["volume_mask"]
    for counted in (None, mask):
        ours = known["normalize_like_monai"](volume, counted)
        np.testing.assert_allclose(ours, monai_equalize_hist(volume, counted), rtol=0, atol=1e-4)


# --- MATLAB, by what its functions compute --------------------------------------------------------


def matlab_histeq(image, n):
    """The lookup of MATLAB's histeq(I, n): the gray level whose flat CDF comes nearest."""
    counts = np.bincount(image.ravel(), minlength=256)
    flat = np.arange(1, n + 1) * image.size / n
    neighbours = np.stack([np.append(counts[:-1], 0), np.append(0, counts[1:])])
    error = flat[:, None] - counts.cumsum() + neighbours.min(axis=0) / 2
    error[error < -image.size * np.sqrt(np.finfo(float).eps)] = image.size
    return (error.argmin(axis=0) / (n - 1))[image]


def test_matlabs_histeq_is_near():
    image = namespace()["image"]
    ours = HistogramEqualizer(dtype="input").transform(image[None])[0] / 255
    finest, coarse = (np.abs(ours - matlab_histeq(image, n)) for n in (256, 64))
    assert finest.mean() < 0.02
    assert coarse.mean() > finest.mean()
    assert len(np.unique(matlab_histeq(image, 64))) <= 64 < len(np.unique(ours))


@pytest.mark.parametrize("share", [0, 0.01, 0.02, 0.1, 1])
@pytest.mark.parametrize("n_bins", [128, 256])
def test_matlabs_clip_limit(share, n_bins):
    """Of a tile of m pixels MATLAB clips at ceil(m / n) + round(c (m - ceil(m / n)))."""
    m = 32 * 32
    least = np.ceil(m / n_bins)
    matlab = least + round(share * (m - least))
    here = (1 + share * (n_bins - 1)) * m / n_bins
    assert abs(here - matlab) <= 1
    if share == 0.01 and n_bins == 256:
        assert 1 + share * (n_bins - 1) == pytest.approx(3.55)


def test_matlabs_largest_limit_clips_nothing():
    images = namespace()["images"]
    limited = AdaptiveHistogramEqualizer(n_tiles=2, clip_limit=256).transform(images)
    free = AdaptiveHistogramEqualizer(n_tiles=2, clip_limit=None).transform(images)
    np.testing.assert_array_equal(limited, free)
