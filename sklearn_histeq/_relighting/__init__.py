"""Copies of images in simulated lights: to train on, and to validate on."""

from ._augmented import AugmentedEstimator
from ._relight import relight
from ._scorer import relit_scorer

__all__ = ["AugmentedEstimator", "relight", "relit_scorer"]
