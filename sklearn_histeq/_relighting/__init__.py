"""Copies of images in simulated lights, and scores on such copies, for validation."""

from ._relight import relight
from ._scorer import relit_scorer

__all__ = ["relight", "relit_scorer"]
