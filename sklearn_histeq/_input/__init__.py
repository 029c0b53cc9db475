"""What a user gives, checked: parameters, images, masks; and what engines found, as errors."""

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
