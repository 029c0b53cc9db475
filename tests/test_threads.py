"""Eight threads over all estimators, with and without a GIL: the bits of a single thread."""

import random
import subprocess
import sys
import sysconfig
import threading

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines
from _internals import kernels_are_built, needs_kernels, set_work_per_thread
from sklearn.base import clone

import sklearn_histeq
from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relight,
)

pytestmark = pytest.mark.usefixtures("engine")

N_THREADS = 8
N_ROUNDS = 3
ESTIMATORS = {
    HistogramEqualizer: [
        {},
        {"convention": "opencv"},
        {"n_bins": 16},
        {"n_jobs": 2},
        {"scope": "dataset"},
        {"color": "value", "channel_axis": -1},
        {"color": "lightness", "convention": "opencv", "channel_axis": -1},
    ],
    AdaptiveHistogramEqualizer: [{}, {"clip_limit": None}, {"n_tiles": 4, "n_jobs": 2}],
    HistogramMatcher: [{}, {"n_jobs": 2}],
    LocalHistogramEqualizer: [{}, {"n_jobs": 2}],
}


def pixels(dtype, channel_axis=1, shape=(33, 40)):
    x = np.random.default_rng(0).random((6, 2, *shape) if channel_axis == 1 else (6, *shape, 3))
    return (x * 200).astype(dtype) if np.dtype(dtype).kind == "u" else x.astype(dtype)


def cases(shape=(33, 40), dtypes=("uint8", "uint16", "float32", "float64")):
    """Yield fitted estimators and images, all kinds of both."""
    for estimator, settings in ESTIMATORS.items():
        for params in settings:
            for dtype in dtypes:
                x = pixels(dtype, params.get("channel_axis", 1), shape)
                if params.get("convention") == "opencv" and x.dtype != np.uint8:
                    continue
                yield estimator(**params).fit(x), x


def run_in_threads(function):
    """Call function(i) in all threads at once; raise what went wrong in the first that failed."""
    start, errors = threading.Barrier(N_THREADS), []

    def run(i):
        try:
            start.wait(timeout=60)
            function(i)
        except BaseException as error:  # of the thread, raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


@pytest.fixture
def many_threads(monkeypatch):
    """Even a small batch is shared by n_jobs threads."""
    set_work_per_thread(monkeypatch, 1)


def test_all_estimators_are_tried():
    public = (getattr(sklearn_histeq, name) for name in sklearn_histeq.__all__)
    transformers = {thing for thing in public if hasattr(thing, "transform")}
    assert set(ESTIMATORS) == transformers - {sklearn_histeq.AugmentedEstimator}


@on_all_engines
@pytest.mark.filterwarnings("ignore:.*n_tiles=:UserWarning")
def test_shared_estimators_and_their_clones_give_the_same(engine, many_threads):
    # the reference is slow, and takes Python's lock
    is_slow = engine == "reference"
    kinds = cases((6, 5), ("uint8", "float32")) if is_slow else cases()
    todo = [(estimator, x, estimator.transform(x)) for estimator, x in kinds]

    def work(i):
        order = random.Random(i)
        for _ in range(N_ROUNDS if engine == "auto" else 1):
            for estimator, x, expected in order.sample(todo, len(todo)):
                np.testing.assert_array_equal(estimator.transform(x), expected, strict=True)
                again = clone(estimator).fit(x).transform(x)
                np.testing.assert_array_equal(again, expected, strict=True)

    run_in_threads(work)


def test_copies_in_other_lights_are_the_same_in_all_threads():
    todo = [(pixels(dtype), strength) for dtype in ("uint8", "float32")
            for strength in ("even", "harsh")]  # fmt: skip
    expected = [relight(x, strength, random_state=3) for x, strength in todo]

    def work(i):
        for (x, strength), copies in zip(todo, expected, strict=True):
            again = relight(x, strength, random_state=3)
            np.testing.assert_array_equal(again, copies, strict=True)

    run_in_threads(work)


@needs_kernels
def test_the_engine_may_be_chosen_while_others_run(many_threads, monkeypatch):
    todo = [(estimator, x, estimator.transform(x)) for estimator, x in cases()]
    done = threading.Event()

    def work(i):
        if i == 0:
            while not done.is_set():
                for engine in ("portable", "auto"):
                    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", engine)
                    done.wait(0.001)
            return
        try:
            for estimator, x, expected in random.Random(i).sample(todo, len(todo)):
                np.testing.assert_array_equal(estimator.transform(x), expected, strict=True)
        finally:
            if i == 1:
                done.set()

    run_in_threads(work)


@on_all_engines
@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_threads_share_the_parts_of_a_batch(many_threads, scope):
    """No image is taken twice or left out, however many there are."""
    x = faces(50, side=3)
    for n in range(1, 50, 7):
        one, four = (HistogramEqualizer(scope=scope, n_jobs=n_jobs) for n_jobs in (1, 4))
        assert_same(four.fit(x[:n]).transform(x[:n]), one.fit(x[:n]).transform(x[:n]))
        if scope == "dataset":
            assert_same(four.cdf_[0], one.cdf_[0])


FIRST_USE = """
import sys, threading
import numpy as np
import sklearn_histeq
x = np.random.default_rng(0).integers(0, 200, (4, 64, 64), np.uint8)
start, results = threading.Barrier(8), [None] * 8
def work(i):
    start.wait()
    results[i] = [getattr(sklearn_histeq, name)().fit_transform(x) for name in {names}]
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for i in range(1, 8):
    for ours, theirs in zip(results[0], results[i], strict=True):
        np.testing.assert_array_equal(ours, theirs)
print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""


def test_the_first_use_may_be_by_many_threads_and_leaves_the_gil_off():
    """Imports and caches are filled at first use; free-threaded CPython gets no GIL back."""
    script = FIRST_USE.format(names=[estimator.__name__ for estimator in ESTIMATORS])
    options = ["-W", "error"] if kernels_are_built() else []  # without them, a warning is due
    command = [sys.executable, *options, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    has_gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
    assert ran.stdout.strip() == str(has_gil)


# --- one thread learns while others transform -----------------------------------------------------

LEARNERS = [
    HistogramEqualizer(scope="dataset"),
    HistogramEqualizer(scope="dataset", color="value", dtype="uint8"),
    HistogramMatcher(),
    HistogramMatcher(color="value"),
    HistogramEqualizer(scope="dataset", color="lightness", dtype="uint8"),
    HistogramMatcher(color="luminance"),
]


def transform_while(learn, estimator, images):
    """Let one thread call learn(), and the others transform; return all results, by their bytes."""
    done, results, n_calls = threading.Event(), set(), []

    def work(i):
        if i == 0:
            try:
                learn()
            finally:
                done.set()
            return
        mine, n = set(), 0
        while n < 20 or not done.is_set():
            mine.add(estimator.transform(images).tobytes())
            n += 1
        results.update(mine)
        n_calls.append(n)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads meet between any two lines
    try:
        run_in_threads(work)
    finally:
        sys.setswitchinterval(before)
    return results, sum(n_calls)


@pytest.mark.filterwarnings("ignore:X has (values|lightness) from:UserWarning")  # 16 pixels
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("learner", LEARNERS, ids=repr)
def test_a_transform_sees_what_was_learned_before_or_after_and_nothing_between(learner, call):
    batches = [faces(2, 3, 4, seed=seed) for seed in range(60)]
    images = faces(1, 3, 4, seed=99)
    alone, states = clone(learner).fit(batches[0]), []
    for batch in batches:
        states.append(getattr(alone, call)(batch).transform(images).tobytes())
    estimator = clone(learner).fit(batches[0])
    states.append(estimator.transform(images).tobytes())

    def learn():
        for batch in batches:
            getattr(estimator, call)(batch)

    results, n_calls = transform_while(learn, estimator, images)
    assert results <= set(states)
    assert n_calls >= 20 * (N_THREADS - 1)
    assert estimator.transform(images).tobytes() == states[len(batches) - 1]


def test_values_go_back_while_another_thread_learns():
    """inverse_transform, too, reads what was learned once."""
    batches = [faces(2, 1, 4, seed=seed) for seed in range(40)]
    estimator = HistogramEqualizer(scope="dataset").fit(batches[0])
    values = estimator.transform(batches[0])
    states = {
        HistogramEqualizer(scope="dataset").fit(batch).inverse_transform(values).tobytes()
        for batch in batches
    }
    done = threading.Event()

    def work(i):
        if i == 0:
            for batch in batches:
                estimator.fit(batch)
            done.set()
            return
        while not done.is_set():
            assert estimator.inverse_transform(values).tobytes() in states

    run_in_threads(work)


def test_the_docstring_says_that_several_threads_may_not_learn():
    for learner in (HistogramEqualizer, HistogramMatcher):
        assert "Do not call it in several threads at once" in learner.partial_fit.__doc__
