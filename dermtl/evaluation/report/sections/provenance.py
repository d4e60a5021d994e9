"""Which model, weights and data the figures belong to."""

from collections.abc import Iterator, Mapping
from typing import Any

from dermtl.evaluation.report.context import Context


def view(context: Context) -> list[tuple[str, str]]:
    """Key and value of everything that the model and its decisions say of themselves."""
    frozen = context.evaluation.predictions.decisions.facts
    shown = {key: frozen[key] for key in ("split", "records", "weights", "data", "after_test") if key in frozen}
    return [*_flat(context.evaluation.model), *_flat(shown, "decisions.")]


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
