"""Made-up people for the tests of the demo."""

import numpy as np

from sklearn_histeq import relight
from sklearn_histeq._cli.demo.protocols import Part


def some_people(n_people=4, n_each=12, shape=(12, 10), dtype=np.uint8):
    """Textures, one per person, each under many lights."""
    rng = np.random.default_rng(7)
    textures = rng.integers(0, 256, (n_people, 1, *shape)).astype(np.uint8)
    images = relight(np.repeat(textures, n_each, axis=0), "even", random_state=7)[:, 0]
    return images.astype(dtype), np.repeat(np.arange(n_people), n_each)


def people_part(n_people=4, n_each=12):
    X, y = some_people(n_people, n_each)
    return Part(X[:, np.newaxis], y)
