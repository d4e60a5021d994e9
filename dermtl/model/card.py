"""Facts about a backbone: groups of layers, feature maps, size, pretrained weights. Loads no weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.model.backbone import Backbone, pretrained_cfg


@dataclass(frozen=True)
class GroupFacts:
    """One group of the backbone's layers.

    Attributes:
        name: Name as in ``train: from:<group>``.
        parameters: Number of parameters.
        selector: Value of ``train`` that trains from this group to the output.
    """

    name: str
    parameters: int
    selector: str


@dataclass(frozen=True)
class ModelCard:
    """Facts of one backbone at one input size.

    Attributes:
        name: Name of the timm model, as given.
        image_size: Side S of the network's input in pixels.
        fixed_size: Whether the model takes only one size once it is built.
        pretrained_size: Side of the pictures that the weights were trained on, in pixels.
        parameters: Number of parameters without the classifier.
        pooled: Width of the pooled features.
        reductions: Size of the input over that of each map, fine to coarse.
        channels: Number of channels of each map.
        mean: Mean of the normalisation, in 0..1.
        std: Standard deviation of the normalisation, in 0..1.
        weights: Tag of the pretrained weights; empty if timm has none.
        licence: Licence of these weights as timm states it; empty if it states none.
        groups: Groups of layers from input to output.
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
    known = pretrained_cfg(name)
    size = image_size or (known.input_size[-1] if known is not None else BackboneConfig(name=name).image_size)
    return Backbone(BackboneConfig(name=name, pretrained=False, image_size=size))


def model_card(name: str, backbone: Backbone, groups: Sequence[tuple[str, int]]) -> ModelCard:
    """The facts of a backbone.

    Args:
        name: Name of the timm model, as given.
        backbone: The backbone, with any weights.
        groups: Name and number of parameters of each group, from input to output.
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
