"""What the machine itself allows: two threads that compute, and memory that is not new."""

import ctypes
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# What two threads that compute should gain; with less, somebody else uses the processor, too.
ENOUGH = 1.8
_POOL = ThreadPoolExecutor(2)
_ARRAYS = [np.ones(2**14), np.ones(2**14)]
# Options of glibc's mallopt.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def time_of(function, *arguments):
    """Return the seconds that a call takes, with those to free its result."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def two_threads(rounds=3):
    """Return how many times faster two threads do what needs neither memory nor Python's lock."""

    def work(array):
        for _ in range(300):
            np.sqrt(array, out=array)

    return statistics.median(
        time_of(lambda: list(map(work, _ARRAYS))) / time_of(lambda: list(_POOL.map(work, _ARRAYS)))
        for _ in range(rounds)
    )


def gain_of_two(rounds, run):
    """Return how many times faster run(2) is than run(1), while two processors are free.

    Measures until so many rounds had them (a gain of `ENOUGH` before and after), at most twice as
    many; returns the median of the best of these rounds.
    """
    measured = []
    for _ in range(2 * rounds):
        before, gain = two_threads(), time_of(run, 1) / time_of(run, 2)
        measured.append((min(before, two_threads()), gain))
        if sum(machine >= ENOUGH for machine, _ in measured) == rounds:
            break
    return statistics.median(gain for _, gain in sorted(measured)[-rounds:])


def keep_memory():
    """Have the C library keep the memory that is freed; return whether it can (glibc can)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
