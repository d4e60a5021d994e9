"""A missing optional dependency as one line that says how to get it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dermtl.errors import MissingExtra


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Wrap imports that an extra brings.

    Raises:
        MissingExtra: One of them is not installed.
    """
    # Idle OpenMP threads otherwise spin on cores that workers could use; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "dermtl":
            raise
        raise MissingExtra(f"this needs {error.name}", hint=f"pip install 'dermtl[{extra}]'") from error
