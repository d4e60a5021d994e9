"""An experiment as dotted keys, to compare runs and to store parameters in trackers."""

from collections.abc import Mapping
from typing import Any


def flatten(settings: Any) -> dict[str, Any]:
    """Flatten nested plain data to ``{"training.stages.0.lr": 0.001, ...}``; an empty list or mapping stays a value."""
    return dict(_leaves(settings, ""))


def _leaves(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        inner = value.items()
    elif isinstance(value, list | tuple) and value:
        inner = dict(enumerate(value)).items()
    else:
        return [(key, value)]
    return [leaf for name, child in inner for leaf in _leaves(child, f"{key}.{name}" if key else str(name))]
