"""The type of every NumPy array in signatures; shapes and dtypes stand in docstrings."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
