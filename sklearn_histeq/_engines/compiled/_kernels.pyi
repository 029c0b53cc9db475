# The kernels are fused functions, looked up by the names of their types: nothing to be told here.
from typing import Any

def __getattr__(name: str) -> Any: ...
