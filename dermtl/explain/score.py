"""The score to explain: the logarithm of one probability as a function of the letterboxed picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dermtl.errors import ConfigError
from dermtl.kinds import Category, Kind, Nodes, Tags
from dermtl.model.network import Network
from dermtl.model.predictor import temper
from dermtl.plugins.plan import HeadPlan

_SMALLEST = 1e-12  # the logarithm of zero has no slope


@dataclass(frozen=True)
class Score:
    """A function from pictures, float [N, 3, S, S] in 0..255, to log-probabilities, [N].

    Attributes:
        network: The network in eval mode.
        temperatures: Head to temperature.
        output: Name of the output, ``<head>.<output>``.
        index: Position of the class, tag or node in the output.
    """

    network: Network
    temperatures: Mapping[str, float]
    output: str
    index: int

    def __call__(self, images: Tensor) -> Tensor:
        """The log-probability of every picture."""
        raw = temper(self.network, self.network(images), self.temperatures)
        probability = self.network.activate(raw)[self.output][:, self.index]
        return torch.log(probability.clamp_min(_SMALLEST))

    def likeliest(self, image: Tensor) -> "Score":
        """The score of the likeliest class or tag of this output for a picture, float [1, 3, S, S]."""
        with torch.no_grad():
            raw = temper(self.network, self.network(image), self.temperatures)
            return replace(self, index=int(self.network.activate(raw)[self.output][0].argmax()))


def choose_head(plans: Mapping[str, HeadPlan], name: str | None = None) -> HeadPlan:
    """The head to explain: the given one, else the first with classes or tags.

    Raises:
        ConfigError: There is no such head, or it has no classes or tags.
    """
    fitting = {key: plan for key, plan in plans.items() if isinstance(plan.target, Category | Tags)}
    if not fitting or (name is not None and name not in fitting):
        fault = f"head {name!r} has no classes or tags" if name else "no head has classes or tags"
        raise ConfigError(f"{fault}, so there is no probability to explain", hint=f"heads: {', '.join(plans)}")
    return fitting[name] if name else next(iter(fitting.values()))


def primary_output(plan: HeadPlan) -> tuple[str, tuple[str, ...]]:
    """The output with the probabilities of the head's classes or tags, and their names."""
    names = names_of(plan.target)
    return next(output for output, kind in plan.outputs.items() if names_of(kind) == names), names


def explainable(plan: HeadPlan) -> dict[str, tuple[str, int]]:
    """Class, tag or node to the output that holds its probability, and its position there."""
    found: dict[str, tuple[str, int]] = {}
    for output, kind in plan.outputs.items():
        for index, name in enumerate(names_of(kind)):
            found.setdefault(name, (output, index))
    return found


def names_of(kind: Kind) -> tuple[str, ...]:
    """The names of a kind's probabilities; empty for kinds without probabilities."""
    if isinstance(kind, Category):
        return kind.classes
    if isinstance(kind, Tags):
        return kind.labels
    return kind.nodes if isinstance(kind, Nodes) else ()
