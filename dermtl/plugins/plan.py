"""The heads of an experiment: plugin, checked config, kinds and metrics of each. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dermtl.config.experiment import Experiment, Head
from dermtl.config.load import validate
from dermtl.config.missing import is_missing
from dermtl.config.source import Source
from dermtl.errors import ConfigError, PluginContract, PluginError
from dermtl.kinds import Category, Tags
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record
from dermtl.plugins.contract import HeadConfig, Metrics
from dermtl.plugins.discovery import load_head, resolve
from dermtl.plugins.installed import origin_of
from dermtl.plugins.reads import connect
from dermtl.plugins.spec import HeadSpec


@dataclass(frozen=True)
class HeadPlan:
    """One head of an experiment.

    Attributes:
        name: Name of the head in the experiment, the first part of the names of its outputs.
        spec: Spec of the plugin.
        config: Config of the plugin.
        loss_weight: Factor of its losses.
        origin: Names of plugin and distribution, and version.
    """

    name: str
    spec: HeadSpec
    config: HeadConfig
    loss_weight: float
    origin: Mapping[str, str]

    @property
    def target(self) -> Kind:
        """The kind of its annotations."""
        return self.config.target()

    @property
    def outputs(self) -> dict[str, Kind]:
        """Full output name, ``<head>.<output>``, to kind."""
        return {f"{self.name}.{output}": kind for output, kind in self.config.outputs().items()}

    def metrics(self) -> Metrics:
        """The metrics of the head."""
        built: Metrics = resolve(self.spec.metrics, f"head {self.name!r}")(self.config)
        if not isinstance(getattr(built, "primary", None), str):
            raise PluginContract(f"{self.spec.metrics} names no primary metric", where=f"head {self.name!r}")
        return built

    def metadata(self) -> dict[str, Any]:
        """The data that :func:`replan_heads` needs, and the kind of the annotations, in plain JSON types."""
        config = self.config.model_dump(mode="json")
        return {
            "type": self.spec.name,
            "origin": dict(self.origin),
            "loss_weight": self.loss_weight,
            "target": self.target.kind,
            "config": config,
        }

    def fitted(self, records: Sequence[Record]) -> "HeadPlan":
        """The plan with its config fitted to the training records."""
        return replace(self, config=self.config.fitted(records))

    def dump(self) -> dict[str, Any]:
        """The block of the head in an experiment file."""
        keys = self.config.model_dump(mode="json")
        return {"type": self.origin["distribution"] + ":" + self.spec.name, "loss_weight": self.loss_weight, **keys}


def plan_heads(experiment: Experiment, source: Source) -> dict[str, HeadPlan]:
    """Find the plugin of every head and check its keys.

    Raises:
        PluginError: A plugin is missing, ambiguous or broken; the message names the line of ``type``.
        ConfigError: The plugin does not know a key, the name of a class counts as an empty cell, or a head reads a head
            that does not exist or does not fit.
    """
    plans = {name: _plan(name, head, source) for name, head in experiment.heads.items()}
    for plan in plans.values():
        _refuse_missing(plan, experiment.data.missing, source)
    return connect(plans, source)


def replan_heads(heads: Mapping[str, Any]) -> dict[str, HeadPlan]:
    """The heads of a model's metadata, from installed plugins.

    Raises:
        PluginError: A plugin is missing or broken.
        ConfigError: The installed version does not know a key.
    """
    source = Source(dict(heads=heads), name="model")
    named = {
        name: Head(
            type=f"{head['origin']['distribution']}:{head['type']}", loss_weight=head["loss_weight"], **head["config"]
        )
        for name, head in heads.items()
    }
    return connect({name: _plan(name, head, source) for name, head in named.items()}, source)


def _refuse_missing(plan: HeadPlan, words: Sequence[str], source: Source) -> None:
    """Refuse classes whose names count as empty cells: no record would have them."""
    target = plan.target
    names = target.classes if isinstance(target, Category) else target.labels if isinstance(target, Tags) else ()
    for name in names:
        if is_missing(name, words):
            where = source.where(("heads", plan.name, "classes"))
            hint = "list the words that do count in data.missing, or [] for none"
            raise ConfigError(f"class {name!r} is a word that counts as an empty cell", where=where, hint=hint)


def _plan(name: str, head: Head, source: Source) -> HeadPlan:
    where = source.where(("heads", name, "type"))
    try:
        spec, point = load_head(head.type)
        config_type = resolve(spec.config, f"head {name!r}")
    except PluginError as error:
        located = f"{where}: {error.where}" if error.where else where
        raise type(error)(error.message, where=located, hint=error.hint) from error
    if not (isinstance(config_type, type) and issubclass(config_type, HeadConfig)):
        raise PluginContract(f"{spec.config} is not a HeadConfig", where=where)
    config = validate(config_type, dict(head.model_extra or {}), source, ("heads", name))
    return HeadPlan(name, spec, config, head.loss_weight, origin_of(point))
