"""Check parameters, images and masks, and raise errors for what engines found in pixels."""

from .images import Images, read, read_in_memory
from .layout import Layout
from .pixel_errors import ALL_IMAGES, Limits, Numbering
from .problem import input_error, input_type_error, warn_the_caller

__all__ = [
    "ALL_IMAGES",
    "Images",
    "Layout",
    "Limits",
    "Numbering",
    "input_error",
    "input_type_error",
    "read",
    "read_in_memory",
    "warn_the_caller",
]
