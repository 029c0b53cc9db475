"""The page on deep learning, medical images and deployment, with the libraries that it names.

`make test-deployment` installs these; elsewhere what needs them is skipped.
"""

import doctest
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from _helpers import assert_same, faces
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sklearn_histeq
from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    AugmentedEstimator,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

PAGE = Path(__file__).parents[1] / "docs" / "deployment.md"
TEXT = PAGE.read_text(encoding="utf-8")
LIBRARIES = ("albumentations", "mlflow", "onnxruntime", "pydicom", "skl2onnx", "skops", "skorch")


def need(*names):
    """Import libraries, or skip the test and say which is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say of each other at import
        return [pytest.importorskip(n, reason=f"make test-deployment installs {n}") for n in names]


@pytest.fixture(scope="module")
def torchvision():
    """torchvision.

    PyPI's build for Linux is for CUDA. Beside PyTorch for the CPU it lacks two operators. When
    these are declared, it can be imported.
    """
    (torch,) = need("torch")
    try:
        return need("torchvision")[0]
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return need("torchvision")[0]


def test_the_page_runs(torchvision):
    need(*LIBRARIES)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what these libraries say of each other
        warnings.filterwarnings("error", module="__main__")  # the examples
        failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags)
    assert tried > 80
    assert failed == 0  # what failed is printed


def test_the_page_shows_the_warning_of_another_version():
    (shown,) = re.findall(r"```text\n(.*?)\n```", TEXT, re.DOTALL)
    state = {**HistogramEqualizer().__getstate__(), "_sklearn_histeq_version": "0.0.9"}
    with pytest.warns(UserWarning, match="sklearn-histeq") as caught:
        HistogramEqualizer().__setstate__(state)
    text = f"UserWarning: {caught[0].message}".replace(sklearn_histeq.__version__, "0.1.0")
    assert " ".join(shown.split()) == text
    pattern = re.search(r'filterwarnings\("error", message="(.*)"\)', TEXT)[1]
    assert re.match(pattern, str(caught[0].message))


# --- networks -------------------------------------------------------------------------------------


def test_torchvision_equalizes_like_pillow(torchvision):
    torch, functional = need("torch", "torchvision.transforms.v2.functional")
    x = faces(4, 3)
    expected = functional.equalize(torch.from_numpy(x)).numpy()
    assert_same(HistogramEqualizer(convention="pillow").transform(x), expected)


# --- 12 bits --------------------------------------------------------------------------------------


def xray(side):
    """A smooth uint16 image of 12 bits, with noise."""
    r = np.hypot(*np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j])
    noise = np.random.default_rng(0).normal(0, 30, r.shape)
    return (1800 + 1500 * np.cos(6 * r) + noise).clip(0, 4095).astype(np.uint16)[None]


@pytest.mark.parametrize(
    "estimator",
    [
        HistogramEqualizer(),
        HistogramEqualizer(convention="numpy"),
        AdaptiveHistogramEqualizer(),
        AdaptiveHistogramEqualizer(convention="skimage"),
        LocalHistogramEqualizer(window=9),
        HistogramMatcher(reference=xray(64)[0, ::2] // 2),
    ],
    ids=repr,
)
def test_12_bits_times_16_give_the_same(estimator):
    x = xray(64)
    assert_same(estimator.fit_transform(x), estimator.fit_transform(x * np.uint16(16)))


def test_a_clip_limit_of_opencv_for_12_bits():
    """Times 16 it is about what 40 is in 8 bits; 40 itself leaves a part of the range empty."""
    x = xray(256)
    as_8_bits = AdaptiveHistogramEqualizer(convention="opencv").transform((x // 16).astype("u1"))
    differences = [
        np.abs(
            AdaptiveHistogramEqualizer(convention="opencv", clip_limit=limit).transform(x) / 65535
            - as_8_bits / 255
        ).mean()
        for limit in (40.0, 640.0)
    ]
    assert differences[1] < 0.02 < 0.1 < differences[0]


@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_conventions_of_bytes_refuse_16_bits(convention):
    with pytest.raises(ValueError, match="expected uint8"):
        HistogramEqualizer(convention=convention).fit(xray(16))


# --- DICOM ----------------------------------------------------------------------------------------


def test_a_scan_needs_no_units_and_leaves_out_padding():
    pixels, examples = need("pydicom.pixels", "pydicom.examples")
    scan = examples.ct
    stored = scan.pixel_array.copy()
    equalizer = HistogramEqualizer()
    hounsfield = pixels.apply_rescale(stored, scan).astype(np.int16)
    assert_same(equalizer.transform(stored[None]), equalizer.transform(hounsfield[None]))
    stored[:40] = scan.PixelPaddingValue
    counted = equalizer.transform(stored[None], mask=(stored != scan.PixelPaddingValue)[None])
    assert_same(counted[:, 40:], equalizer.transform(stored[None, 40:]))


# --- stored models --------------------------------------------------------------------------------

STEPS = [
    HistogramEqualizer(flatten=True),
    HistogramEqualizer(scope="dataset", flatten=True),
    AdaptiveHistogramEqualizer(n_tiles=2, flatten=True),
    LocalHistogramEqualizer(window=5, flatten=True),
    HistogramMatcher(flatten=True),
    HistogramMatcher(landmarks="nyul", flatten=True),
]


@pytest.mark.parametrize("is_augmented", [False, True])
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_mlflow_stores_what_it_is_told_to_trust(step, is_augmented, tmp_path):
    """Models of every estimator, and inside of AugmentedEstimator, load as they were."""
    skops_io, _, mlflow = need("skops.io", "mlflow.sklearn", "mlflow")
    x, y = faces(12), np.arange(12) % 2
    model = make_pipeline(step, LogisticRegression())
    if is_augmented:
        model = AugmentedEstimator(model, n_copies=1, random_state=0)
    model.fit(x, y)
    options = {"pip_requirements": ["scikit-learn"]}
    with pytest.raises(mlflow.exceptions.MlflowException, match="untrusted types"):
        mlflow.sklearn.save_model(model, tmp_path / "refused", **options)
    names = skops_io.get_untrusted_types(data=skops_io.dumps(model))
    options["skops_trusted_types"] = [n for n in names if n.startswith("sklearn_histeq.")]
    mlflow.sklearn.save_model(model, tmp_path / "stored", **options)
    for load in (mlflow.sklearn.load_model, mlflow.pyfunc.load_model):
        np.testing.assert_array_equal(load(tmp_path / "stored").predict(x), model.predict(x))
