"""What every test file shares: the engines that the tests run on, and hypothesis' profiles."""

import functools
import os
import warnings

import numpy as np
import pytest
from _internals import ENGINE_VARIABLE, NOT_BUILT, SLOW, kernels_are_built
from hypothesis import HealthCheck, note, settings
from PIL import Image
from threadpoolctl import threadpool_limits

import sklearn_histeq

# Engines that are named, as HISTEQ_TEST_ENGINES='auto portable', must be there. Otherwise tests on
# engines that were not built are skipped.
ENGINES = ["reference", "auto", "portable"]
CHOSEN = os.environ.get("HISTEQ_TEST_ENGINES", " ".join(ENGINES)).split()


def pytest_configure(config):
    """Without kernels the package says once that it is slow: now, before tests count warnings.

    Workers of other libraries, which are told to make errors of warnings, are to ignore it.
    """
    built = [name for name in ENGINES if _is_built(name)]
    if "HISTEQ_TEST_ENGINES" in os.environ and not set(CHOSEN) <= set(built):
        raise pytest.UsageError(
            f"HISTEQ_TEST_ENGINES={' '.join(CHOSEN)!r}, but only {' '.join(built)!r} can run here"
        )
    config.addinivalue_line("markers", "engines(*names): run on these engines, not the default one")
    config.addinivalue_line("filterwarnings", f"ignore:{SLOW}:UserWarning")
    if not kernels_are_built():
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            warnings.simplefilter("ignore")
            patch.delenv(ENGINE_VARIABLE, raising=False)
            sklearn_histeq.HistogramEqualizer().fit_transform([[0, 1]])
        # commands, whose output tests compare, are to take the slow engine in silence
        os.environ.setdefault(ENGINE_VARIABLE, "reference")


def pytest_generate_tests(metafunc):
    """Run a test on the engines that its mark names, or its module's; see `_helpers`.

    hypothesis makes each example once, and the test runs on it on one engine after the other.
    """
    mark = metafunc.definition.get_closest_marker("engines")
    names = [name for name in CHOSEN if mark and name in mark.args]
    if not names:
        return
    if hasattr(metafunc.function, "hypothesis"):
        handle = metafunc.function.hypothesis
        handle.inner_test = _on_each_engine(handle.inner_test, filter(_is_built, names))
    else:
        metafunc.parametrize("engine", [*map(_engine_param, names)], indirect=True)


def _is_built(name):
    return name == "reference" or kernels_are_built()


def _engine_param(name):
    """A parameter that is skipped, and says why, where its engine was not built."""
    reason = f"engine {name!r}: {NOT_BUILT}"
    return pytest.param(name, marks=pytest.mark.skipif(not _is_built(name), reason=reason))


def _on_each_engine(test, names):
    """A test that runs on one engine after the other, and tells on which it fails."""
    names = tuple(names)

    @functools.wraps(test)
    def on_each_engine(*args, **kwargs):
        for name in names:
            note(f"on the engine {name!r}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(ENGINE_VARIABLE, name)
                test(*args, **kwargs)

    return on_each_engine


# Of module scope, so that hypothesis may run many examples inside one set-up.
@pytest.fixture(scope="module")
def engine(request):
    """Run a test on one engine, or on what a user gets; the package reads the variable at calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ENGINE_VARIABLE, raising=False)
        if hasattr(request, "param"):
            patch.setenv(ENGINE_VARIABLE, request.param)
        yield getattr(request, "param", "default")


@pytest.fixture(scope="module")
def one_thread():
    """Small matrices on busy cores: threads of BLAS and OpenMP would only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def npz(tmp_path):
    """Write an .npz file of these arrays, and return its path."""

    def write(**arrays):
        path = tmp_path / "faces.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    """A folder of two people with three pictures each, in three formats."""
    rng = np.random.default_rng(3)
    for person in ("ada", "bob"):
        (tmp_path / "all" / person).mkdir(parents=True)
        for suffix in ("pgm", "png", "JPG"):
            picture = Image.fromarray(rng.integers(0, 256, (8, 6)).astype(np.uint8))
            picture.save(tmp_path / "all" / person / f"one.{suffix}")
    return tmp_path / "all"


def _settings(**kwargs):
    # A machine with busy cores is not a failure, and no test here measures time.
    return settings(
        deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True, **kwargs
    )


# "ci" tries the same examples on every run, and "short" a few of them, for emulated processors;
# "long" looks for new ones (HYPOTHESIS_PROFILE=long).
settings.register_profile("ci", _settings(max_examples=50, derandomize=True, database=None))
settings.register_profile("short", settings.get_profile("ci"), max_examples=5)
settings.register_profile("long", _settings(max_examples=3000))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
