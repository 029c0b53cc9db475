"""Copies of images in other lights, and scores on them, to choose for lights not in the images."""

from ._relight import relight
from ._scorer import relit_scorer

__all__ = ["relight", "relit_scorer"]
