"""A model card as Hugging Face lays it out, from the same numbers as the report: metrics.json and card.yaml."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from dermtl.errors import DataError, InputError
from dermtl.evaluation.formatting import figure_text, interval_text, value_text
from dermtl.evaluation.model_card.fields import CardFields
from dermtl.statistics.operating_point import NOBODY

_TASKS = {"category": "image-classification", "tags": "image-classification", "mask": "image-segmentation"}
_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")


@dataclass(frozen=True)
class ModelCard:
    """A card.

    Attributes:
        text: Markdown below a YAML header.
        missing: What is still to be filled in; ``--strict`` wants none.
    """

    text: str
    missing: tuple[str, ...]


def find_metrics(path: Path, split: str = "test") -> Path:
    """The metrics.json of a folder of ``dermtl evaluate``, or of a run's split.

    Raises:
        InputError: There is none.
    """
    for folder in (path, path / "evaluation" / split, path / "evaluation" / "model" / split):
        if (folder / "metrics.json").is_file():
            return folder / "metrics.json"
    raise InputError(
        f"holds neither metrics.json nor evaluation/{split}/metrics.json",
        where=str(path),
        hint="run `dermtl evaluate` first: a card without figures says nothing",
    )


def read_metrics(path: Path) -> dict[str, Any]:
    """A metrics.json.

    Raises:
        DataError: The file is damaged, or of a version that had no decisions.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [
            key for key in ("heads", "primary", "decisions", "settled", "data", "model", "plans") if key not in document
        ]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error
    if missing:
        raise DataError(f"lacks {missing[0]}", where=str(path), hint="run `dermtl evaluate` again")
    return document


def model_card(document: Mapping[str, Any], facts: CardFields) -> ModelCard:
    """The card of an evaluated model.

    Args:
        document: Content of metrics.json.
        facts: What only people know.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dermtl.evaluation", "model_card"),
        autoescape=False,  # Markdown: every text passes the filter below
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=_plain, figure=figure_text, value=value_text, interval=interval_text)
    environment.globals["nobody"] = NOBODY
    missing = list(facts.missing)
    if not any(document["decisions"].values()) and any(
        plan.get("target") == "category" for plan in document["plans"].values()
    ):
        missing.append("positive classes and a frozen threshold")
    text = environment.get_template("model_card.md.jinja").render(
        header=yaml.safe_dump(_header(document, facts), sort_keys=False, allow_unicode=True),
        document=document,
        facts=facts,
        backbone=document["model"].get("backbone", {}),
        trained=document["model"].get("data", {}),
        versions=document["model"].get("versions", {}),
        todo=missing,
    )
    return ModelCard(text, tuple(missing))


def _header(document: Mapping[str, Any], facts: CardFields) -> dict[str, Any]:
    tasks = [task for plan in document["plans"].values() if (task := _TASKS.get(plan.get("target", "")))]
    dataset = {"name": document["model"].get("name", "unnamed"), "type": "private", "split": document["data"]["split"]}
    results = [
        {
            "task": {"type": _TASKS.get(document["plans"][head].get("target", ""), "other"), "name": head},
            "dataset": dict(dataset),
            "metrics": [{"type": name, "name": name, "value": figures[name]["value"]}],
        }
        for head, figures in document["heads"].items()
        if (name := document["primary"][head]) in figures and figures[name]["value"] is not None
    ]
    return {
        "license": facts.licence.strip() or "unknown",
        "library_name": "dermtl",
        "tags": ["medical-imaging", "onnx", "timm"],
        **({"pipeline_tag": tasks[0]} if tasks else {}),
        "model-index": [{"name": document["model"].get("name", "unnamed"), "results": results}],
    }


def _plain(value: Any) -> str:
    """Text that is no markup, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(str(value).split()))
