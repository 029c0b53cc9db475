# The functions of this module are the kernels that kernels.h lists.
from typing import Any

def __getattr__(name: str) -> Any: ...
