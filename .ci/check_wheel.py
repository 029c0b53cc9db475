"""Try out the installed wheel: what a user has who installed no optional extra."""

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import os
import pkgutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
from skimage import exposure

import sklearn_histeq

assert "SCIPY_ARRAY_API" not in os.environ
for extra in ("matplotlib", "pandas", "polars", "dask", "cv2", "imagecodecs", "pytest"):
    assert importlib.util.find_spec(extra) is None, f"{extra} is installed, the check is void"

# The wheel is what is imported, and it is complete.
package = Path(sklearn_histeq.__file__).parent
assert str(package.parent) in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
assert importlib.metadata.version("sklearn-histeq") == sklearn_histeq.__version__
assert (package / "py.typed").is_file()
for module in pkgutil.iter_modules(sklearn_histeq.__path__, "sklearn_histeq."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

images = np.random.default_rng(0).integers(0, 100, (5, 3, 24, 32), dtype=np.uint8)
equalized = sklearn_histeq.HistogramEqualizer().fit_transform(images)
expected = [[exposure.equalize_hist(plane) for plane in image] for image in images]
np.testing.assert_array_equal(equalized, expected)

# The wheel was built with a compiler, so its kernels must be in it, and their sources not.
for folder in ("_clahe", "_equalize", "_local", "_match"):
    importlib.import_module(f"sklearn_histeq.{folder}.kernels")
assert not [path for path in package.rglob("*") if path.suffix in {".pyx", ".h", ".cpp"}]
sklearn_histeq.show_versions()

histeq = Path(sysconfig.get_path("scripts")) / "histeq"
subprocess.run([histeq, "--help"], check=True, stdout=subprocess.DEVNULL)
print(f"sklearn-histeq {sklearn_histeq.__version__} from the wheel works.")
