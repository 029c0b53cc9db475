"""What the package shows: names, signatures, documentation, and whose CDF it is."""

import ast
import inspect
import json
import re
import subprocess
import sys
import typing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy
import skimage.exposure
import sklearn
from _helpers import CONVENTIONS, faces, own_package

import sklearn_histeq
from sklearn_histeq import HistogramEqualizer, HistogramMatcher

PACKAGE = Path(sklearn_histeq.__file__).parent
ROOT = Path(__file__).parents[1]  # with README and docs; the package may be installed elsewhere
CLASSES = [getattr(sklearn_histeq, n) for n in sklearn_histeq.__all__ if n[0].isupper()]

# --- names ----------------------------------------------------------------------------------------


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_all_is_sorted_and_true():
    names = sklearn_histeq.__all__
    assert list(names) == sorted(names)
    assert len(set(names)) == len(names)
    assert all(hasattr(sklearn_histeq, name) for name in names)


def test_what_is_public_is_in_all():
    public = {name for name, value in vars(sklearn_histeq).items()
              if name[0] != "_" and not inspect.ismodule(value)}  # fmt: skip
    assert public == set(sklearn_histeq.__all__)


def test_what_an_editor_proposes_is_public():
    """Before the first use and after it."""
    proposed = sorted([*sklearn_histeq.__all__, "__doc__", "__version__"])
    code = "import sklearn_histeq as s; print(dir(s)); s.relight; print(dir(s))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own_package())
    assert done.stdout.splitlines() == [str(proposed)] * 2


@pytest.mark.parametrize("name", sklearn_histeq.__all__)
def test_what_is_in_all_is_documented(name):
    texts = {path.name: path.read_text(encoding="utf-8") for path in documents()}
    if name.endswith(("Equalizer", "Matcher")):
        assert name in texts["README.md"], f"README.md does not mention {name}"
    assert name in texts["reference.md"], f"docs/reference.md does not mention {name}"


def test_documents_import_only_what_is_in_all():
    pattern = re.compile(r"from sklearn_histeq import ([^\n`]+)")
    named = {
        name.strip(" ()")
        for path in documents()
        for line in pattern.findall(path.read_text(encoding="utf-8"))
        for name in line.split(",")
    }
    assert named <= set(sklearn_histeq.__all__)
    assert named, "no document shows an import"


def test_documents_spell_the_parameters_as_the_code_does():
    """What stands before "=" in a call of the class, somewhere in the documents, is a parameter."""
    for cls in CLASSES:
        known = set(inspect.signature(cls).parameters)
        for path in documents():
            text = path.read_text(encoding="utf-8")
            for call in re.findall(rf"\b{cls.__name__}\(([^()]*)\)", text):
                assert set(re.findall(r"(\w+)=", call)) <= known, f"{path.name}: {call}"


@pytest.mark.parametrize("name", ["n_tiles", "clip_limit", "n_bins"])
@pytest.mark.parametrize("page", ["estimators", "definitions"])
def test_the_guide_tells_the_defaults_of_tiles(name, page):
    guide = (ROOT / "docs" / "guide" / f"{page}.md").read_text(encoding="utf-8")
    default = inspect.signature(sklearn_histeq.AdaptiveHistogramEqualizer).parameters[name].default
    shown = json.dumps(default)  # text in double quotes, as the guide writes it
    assert guide.count(f"`{name}={shown}`") == 1


def test_version_is_in_one_place():
    try:
        installed = version("sklearn-histeq")
    except PackageNotFoundError:
        pytest.skip("the package is imported from the checkout, and not installed (make test)")
    assert installed == sklearn_histeq.__version__
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?\S*", sklearn_histeq.__version__)


def test_the_signature_is_the_contracts():
    parameters = inspect.signature(HistogramEqualizer).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "n_bins": "auto",
        "value_range": None,
        "quantile_range": (0, 100),
        "convention": "skimage",
        "scope": "image",
        "output_distribution": "uniform",
        "strength": 1.0,
        "color": "channels",
        "channel_axis": 1,
        "image_shape": None,
        "spatial_dims": 2,
        "flatten": False,
        "dtype": None,
        "n_jobs": None,
    }


def public_callables():
    """All functions, classes and methods that a user calls, but scikit-learn's own."""
    for name in sklearn_histeq.__all__:
        thing = getattr(sklearn_histeq, name)
        yield name, thing
        if inspect.isclass(thing):
            for method in [method for method in dir(thing) if method[0] != "_"]:
                function = getattr(thing, method)
                if getattr(function, "__module__", "").startswith("sklearn_histeq"):
                    yield f"{name}.{method}", function


@pytest.mark.parametrize(
    "function", [pytest.param(function, id=name) for name, function in public_callables()]
)
def test_signatures_can_be_read_in_a_notebook(function):
    """As in the code: `X: ArrayLike`, which stands for a union of hundreds of characters."""
    for parameter in inspect.signature(function).parameters.values():
        assert len(str(parameter)) < 110, str(parameter)
        assert "Union" not in str(parameter)
        assert "Buffer" not in str(parameter)
    assert typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)


def test_methods_that_need_a_parameter_are_in_the_class_and_say_why_they_are_missing():
    estimator = HistogramEqualizer()
    for name in ("partial_fit", "inverse_transform"):
        assert callable(getattr(HistogramEqualizer, name))
        assert not hasattr(estimator, name)
        assert hasattr(HistogramEqualizer(scope="dataset"), name)
        with pytest.raises(AttributeError, match=rf"{name} needs scope='dataset'.*scope='image'"):
            getattr(estimator, name)
    for params, words in (
        ({"convention": "opencv"}, "needs convention='skimage' or 'numpy'.*convention='opencv'"),
        ({"color": "value"}, "needs .*color='channels'.*color='value'"),
    ):
        with pytest.raises(AttributeError, match=f"inverse_transform {words}"):
            HistogramEqualizer(scope="dataset", **params).inverse_transform([[1, 2]])
    with pytest.raises(AttributeError, match="partial_fit needs reference=None"):
        HistogramMatcher(reference=[[1, 2]]).partial_fit([[1, 2]])


FROZEN = """
import importlib.metadata
def version(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = version
import sklearn_histeq
sklearn_histeq.show_versions()
"""


def test_versions_of_a_frozen_program_are_those_that_run():
    """It has no metadata of installed packages."""
    command = [sys.executable, "-c", FROZEN]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own_package())
    shown = dict(line.strip().split(": ", 1) for line in done.stdout.splitlines())
    modules = {"sklearn-histeq": sklearn_histeq, "numpy": np, "scikit-learn": sklearn,
               "scikit-image": skimage, "scipy": scipy, "joblib": joblib}  # fmt: skip
    assert {name: shown[name] for name in modules} == {
        name: module.__version__ for name, module in modules.items()
    }


# --- docstrings -----------------------------------------------------------------------------------


def sections_of(docstring):
    """Heading -> text, of a numpydoc docstring."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries_of(section):
    return re.findall(r"^(\w+) ?:", section, flags=re.MULTILINE)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_classes_have_numpydoc_sections(cls):
    sections = sections_of(cls.__doc__)
    assert {"Parameters", "Attributes", "See Also", "Notes", "Examples"} <= set(sections)
    assert entries_of(sections["Parameters"]) == list(inspect.signature(cls).parameters)
    assert ">>> " in sections["Examples"]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_docstrings_tell_the_defaults(cls):
    parameters = sections_of(cls.__doc__)["Parameters"]
    told = dict(re.findall(r"^(\w+) :.* default=(.+)$", parameters, re.MULTILINE))
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is not parameter.empty
    }
    assert {name: ast.literal_eval(text) for name, text in told.items()} == defaults


@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_attributes_are_documented(scope):
    fitted = HistogramEqualizer(scope=scope).fit(faces())
    public = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    assert public <= set(entries_of(sections_of(HistogramEqualizer.__doc__)["Attributes"]))


METHODS = ["fit", "fit_transform", "transform", "partial_fit", "inverse_transform",
           "get_feature_names_out"]  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_document_their_parameters(name):
    method = getattr(HistogramEqualizer(scope="dataset"), name)
    sections = sections_of(method.__doc__)
    parameters = list(inspect.signature(method).parameters)
    assert entries_of(sections["Parameters"]) == parameters
    assert "Returns" in sections


def test_the_first_pitfall_is_in_the_docstring_and_the_guide():
    pitfall = re.compile(r"\[None\]")
    assert pitfall.search(HistogramEqualizer.__doc__)
    assert any(pitfall.search(path.read_text(encoding="utf-8")) for path in documents()[1:])


# --- the definition of every CDF ------------------------------------------------------------------


@pytest.fixture
def watched(monkeypatch):
    """The planes that went through skimage.exposure.cumulative_distribution."""
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "reference")
    genuine, seen = skimage.exposure.cumulative_distribution, []

    def watch(image, nbins=256):
        seen.append(np.array(image))
        return genuine(image, nbins)

    monkeypatch.setattr(skimage.exposure, "cumulative_distribution", watch)
    return seen


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "f2", "f4", "f8"])
@pytest.mark.parametrize("n_bins", ["auto", 16])
def test_the_reference_passes_every_plane_through_skimage(watched, n_bins, dtype):
    x = faces(4, 2, dtype=dtype)
    HistogramEqualizer(n_bins=n_bins).transform(x)
    assert len(watched) == 8
    for plane, image in zip(x.reshape(8, -1), watched, strict=True):
        np.testing.assert_array_equal(np.sort(image, axis=None), np.sort(plane))


def test_skimages_cdf_is_what_the_reference_uses(monkeypatch):
    """Another CDF there is another result here."""
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "reference")
    genuine = skimage.exposure.cumulative_distribution

    def halved(image, nbins=256):
        cdf, centers = genuine(image, nbins)
        return cdf / 2, centers

    expected = HistogramEqualizer().transform(faces()) / 2
    monkeypatch.setattr(skimage.exposure, "cumulative_distribution", halved)
    np.testing.assert_array_equal(HistogramEqualizer().transform(faces()), expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_of_the_reference_passes_through_skimage(watched, convention):
    HistogramEqualizer(convention=convention).transform(faces(4, 2))
    assert len(watched) >= 8


def test_ranks_pass_through_skimage_too(watched):
    HistogramEqualizer().transform(np.array([[1.0, np.nextafter(1, 2), 1.0]]))
    np.testing.assert_array_equal(np.sort(watched[-1].ravel()), [0, 0, 1])
