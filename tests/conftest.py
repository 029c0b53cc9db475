"""What every test file shares: the engines that the tests run on, and hypothesis' profiles."""

import importlib.util
import os

import pytest
from hypothesis import HealthCheck, settings

ENGINE_VARIABLE = "SKLEARN_HISTEQ_ENGINE"

ENGINES = ["reference", "auto", "portable"]
COMPILED_MODULE = "sklearn_histeq._engines.compiled._kernels"


def _engine_param(name):
    """A parameter that is skipped, and says why, where its engine was not built."""
    is_missing = name != "reference" and importlib.util.find_spec(COMPILED_MODULE) is None
    reason = f"engine {name!r}: {COMPILED_MODULE} is not built here"
    return pytest.param(name, marks=pytest.mark.skipif(is_missing, reason=reason))


# Of module scope, so that hypothesis may run many examples inside one set-up.
@pytest.fixture(scope="module", params=[_engine_param(name) for name in ENGINES])
def engine(request):
    """Run the tests of a module on every engine; the package reads the variable at call time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENGINE_VARIABLE, request.param)
        yield request.param


@pytest.fixture(scope="module")
def default_engine():
    """Run the tests of a module, to which pixels matter little, on what a user gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ENGINE_VARIABLE, raising=False)
        yield


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
