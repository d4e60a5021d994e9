"""The network: backbone, heads."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import PluginContract
from dermtl.model.backbone import Backbone
from dermtl.model.head import Head
from dermtl.plugins.blame import at_work
from dermtl.plugins.discovery import resolve
from dermtl.plugins.plan import HeadPlan


class Network(nn.Module):
    """One backbone shared by several heads.

    Attributes:
        backbone: Features of a batch.
        heads: By name, in the experiment's order.
    """

    def __init__(self, backbone: Backbone, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(heads)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Raw outputs by head.

        Args:
            image: uint8 or float [N, 3, S, S] in 0..255, RGB, letterboxed.
        """
        features, raw = self.backbone(image), {}
        for name, head in self.heads.items():
            with at_work(name, "its layers"):
                raw[name] = head(features)
        return raw

    def activate(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs in the network frame, named ``<head>.<output>``, float32."""
        outputs: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            assert isinstance(head, Head)
            with at_work(name, "its activation"):
                outputs.update({f"{name}.{output}": v for output, v in head.activate(raw[name].float()).items()})
        return outputs


def build_network(config: BackboneConfig, plans: Mapping[str, HeadPlan], *, pretrained: bool = True) -> Network:
    """The network of an experiment; ``pretrained=False`` where stored weights are loaded next.

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
    return Network(backbone, heads).to(memory_format=torch.channels_last)
