"""What there is to know of a backbone before it is trained: groups, maps, size, weights. Loads no weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.model.backbone import Backbone, stated_weights


@dataclass(frozen=True)
class GroupFacts:
    """One group of the backbone's layers.

    Attributes:
        name: As in ``train: from:<group>``.
        parameters: How many numbers it holds.
        selector: The ``train`` that trains from this group to the output.
    """

    name: str
    parameters: int
    selector: str


@dataclass(frozen=True)
class ModelCard:
    """Facts of one backbone at one input size.

    Attributes:
        name: timm's, as it was asked for.
        image_size: Side S of the network's input in pixels.
        fixed_size: Whether the model takes one size only, once it is built.
        pretrained_size: Side of the pictures that the weights were trained on, in pixels.
        parameters: How many numbers the backbone learns, its classifier left out.
        pooled: Width of the pooled features.
        reductions: How many times smaller than the input each map is, fine to coarse.
        channels: Of each map.
        mean: Of the normalisation, in 0..1.
        std: Of the normalisation, in 0..1.
        weights: Tag of the pretrained weights; empty where timm has none.
        licence: Of these weights as timm states it; empty where it states none.
        groups: From input to output.
    """

    name: str
    image_size: int
    fixed_size: bool
    pretrained_size: int
    parameters: int
    pooled: int
    reductions: tuple[int, ...]
    channels: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: str
    licence: str
    groups: tuple[GroupFacts, ...]


def bare_backbone(name: str, image_size: int | None = None) -> Backbone:
    """A backbone with random weights, at the size of its pretrained weights unless another is given.

    Raises:
        ConfigError: timm does not know the name, or the model does not take the size.
    """
    stated = stated_weights(name)
    size = image_size or (stated.input_size[-1] if stated is not None else BackboneConfig(name=name).image_size)
    return Backbone(BackboneConfig(name=name, pretrained=False, image_size=size))


def model_card(name: str, backbone: Backbone, groups: Sequence[tuple[str, int]]) -> ModelCard:
    """The facts of a backbone.

    Args:
        name: As it was asked for.
        backbone: With any weights.
        groups: Name and number of parameters each, from input to output.
    """
    stated: dict[str, Any] = backbone.model.pretrained_cfg
    available = bool(stated.get("url") or stated.get("hf_hub_id") or stated.get("file"))
    return ModelCard(
        name=name,
        image_size=backbone.features.image_size,
        fixed_size=bool(stated.get("fixed_input_size")),
        pretrained_size=int(stated["input_size"][-1]),
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        pooled=backbone.features.num_pooled,
        reductions=backbone.features.reductions,
        channels=backbone.features.channels,
        mean=backbone.mean,
        std=backbone.std,
        weights=str(stated.get("tag") or "untagged") if available else "",
        licence=str(stated.get("license") or "") if available else "",
        groups=tuple(
            GroupFacts(group, parameters, f"last:{len(groups) - index}")
            for index, (group, parameters) in enumerate(groups)
        ),
    )
