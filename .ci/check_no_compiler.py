"""Try out an installation without a compiler: it works, and says once that it is slow."""

import warnings

import numpy as np
from skimage import exposure

import sklearn_histeq

images = np.random.default_rng(0).integers(0, 100, (5, 3, 24, 32), dtype=np.uint8)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        equalized = sklearn_histeq.HistogramEqualizer().fit_transform(images)
expected = [[exposure.equalize_hist(plane) for plane in image] for image in images]
np.testing.assert_array_equal(equalized, expected)

said = [str(warning.message) for warning in caught]
assert len(said) == 1, said
assert "without its compiled kernels" in said[0], said
assert "pip install" in said[0], said
print("Without a compiler the package works, and says once that it is slow.")
