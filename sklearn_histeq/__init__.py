"""Histogram equalization for arrays of images, as scikit-learn estimators."""

from ._equalize import HistogramEqualizer
from ._show_versions import show_versions

__version__ = "0.1.0"

__all__ = ["HistogramEqualizer", "show_versions"]
