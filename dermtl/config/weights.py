"""What is stated beside a file of pretrained weights: how its pictures were normalised, and its licence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermtl.config.experiment import Backbone
from dermtl.config.source import read_stored
from dermtl.errors import ConfigError

Levels = tuple[float, float, float]


@dataclass(frozen=True)
class Stated:
    """What is stated of weights; None and empty for what is not.

    Attributes:
        mean: Mean of the normalisation, in 0..1, by channel.
        std: Standard deviation of the normalisation, in 0..1, by channel.
        licence: Licence of the weights.
    """

    mean: Levels | None = None
    std: Levels | None = None
    licence: str = ""


def with_stated(backbone: Backbone) -> Backbone:
    """The keys of a backbone with the normalisation that is stated beside its weights, if they give none.

    Raises:
        ConfigError: What stands beside the weights cannot be read.
    """
    if not isinstance(backbone.pretrained, Path):
        return backbone
    stated = read_stated(backbone.pretrained, backbone.name)
    return backbone.model_copy(update={"mean": backbone.mean or stated.mean, "std": backbone.std or stated.std})


def read_stated(weights: Path, name: str) -> Stated:
    """Read what stands beside weights.

    That is ``<file>.json``, else ``config.json`` in the same folder as timm's hub lays it out; of the folder of a run,
    its ``config.yaml``.

    Args:
        weights: A file of weights, or the folder of a run. One that is not there states nothing.
        name: The model; a ``config.json`` of another architecture is passed over.

    Raises:
        ConfigError: A file is there and cannot be read.
    """
    if weights.is_dir():
        config = weights / "config.yaml"
        return _stated(read_stored(config).data.get("backbone", {})) if config.is_file() else Stated()
    for path in (weights.with_suffix(".json"), weights.parent / "config.json"):
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            facts: dict[str, Any] = {**content, **content.get("pretrained_cfg", {})}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ConfigError(f"backbone.pretrained: cannot read {path}: {error}") from error
        if path.name != "config.json" or facts.get("architecture") == name.partition(".")[0]:
            return _stated(facts)
    return Stated()


def _stated(facts: Mapping[str, Any]) -> Stated:
    licence = facts.get("license") or facts.get("licence") or ""
    return Stated(_levels(facts.get("mean")), _levels(facts.get("std")), str(licence))


def _levels(value: Any) -> Levels | None:
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(level, int | float) for level in value):
        return (float(value[0]), float(value[1]), float(value[2]))
    return None
