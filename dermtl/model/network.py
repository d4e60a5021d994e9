"""The network: one backbone and its heads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import PluginContract
from dermtl.model.backbone import Backbone
from dermtl.model.head import Features, Head
from dermtl.plugins.discovery import resolve
from dermtl.plugins.head_errors import head_errors
from dermtl.plugins.plan import HeadPlan
from dermtl.plugins.reads import run_order


class Network(nn.Module):
    """One backbone shared by several heads.

    Args:
        backbone: The backbone.
        heads: Name to head, in the order of the experiment.
        reads: Head to the heads whose outputs it reads; heads left out read none.

    Attributes:
        backbone: The backbone.
        heads: Name to head, in the order of the experiment.

    Raises:
        ConfigError: Heads read one another in a circle.
    """

    def __init__(
        self, backbone: Backbone, heads: Mapping[str, Head], reads: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(heads)
        self._reads = {name: tuple((reads or {}).get(name, ())) for name in heads}
        self._order = run_order(self._reads)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Raw outputs by head.

        Args:
            image: uint8 or float [N, 3, S, S] in 0..255, RGB, letterboxed.
        """
        return self.run_heads(self.backbone(image))

    def run_heads(self, features: Features) -> dict[str, Tensor]:
        """Raw outputs by head from features, in the order of the experiment; a head runs after those that it reads."""
        raw: dict[str, Tensor] = {}
        for name in self._order:
            inputs = features
            if self._reads[name]:
                outputs = {output: value for other in self._reads[name] for output, value in self._output(other, raw)}
                inputs = replace(features, outputs=outputs)
            with head_errors(name, "its layers"):
                raw[name] = self.heads[name](inputs)
        return {name: raw[name] for name in self.heads}

    def activate(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs in the network frame, named ``<head>.<output>``, float32."""
        return {output: value for name in self.heads for output, value in self._output(name, raw)}

    def _output(self, name: str, raw: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
        """The outputs of one head with their full names."""
        head = self.heads[name]
        assert isinstance(head, Head)
        with head_errors(name, "its activation"):
            return [(f"{name}.{output}", value) for output, value in head.activate(raw[name].float()).items()]


def build_network(config: BackboneConfig, plans: Mapping[str, HeadPlan], *, pretrained: bool = True) -> Network:
    """Build the network of an experiment; ``pretrained=False`` if stored weights are loaded next.

    Raises:
        ConfigError: The backbone cannot be made.
        PluginContract: A head is not a :class:`~dermtl.api.Head`.
    """
    backbone = Backbone(config, pretrained=pretrained)
    heads: dict[str, Head] = {}
    for name, plan in plans.items():
        head = resolve(plan.spec.head, f"head {name!r}")(plan.config, backbone.features)
        if not isinstance(head, Head):
            raise PluginContract(f"{plan.spec.head} is not a dermtl.api.Head", where=f"head {name!r}")
        heads[name] = head
    if config.lora is not None:
        from dermtl.model.lora import add_lora

        add_lora(backbone.model, config.lora)
    reads = {name: plan.config.reads() for name, plan in plans.items()}
    return Network(backbone, heads, reads).to(memory_format=torch.channels_last)
