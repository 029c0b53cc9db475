"""Check parameters, images and masks, and raise errors for what engines found in pixels."""

from .images import read, read_in_memory
from .layout import Layout
from .pixel_errors import Limits
from .problem import input_error, warn_the_caller

__all__ = [
    "Layout",
    "Limits",
    "input_error",
    "read",
    "read_in_memory",
    "warn_the_caller",
]
