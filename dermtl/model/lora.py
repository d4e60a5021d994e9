"""Low-rank adaptation (LoRA) of a backbone through peft: added for training, merged into the weights afterwards."""

import re

from torch import nn

from dermtl.config.experiment import Lora
from dermtl.errors import ConfigError


def add_lora(model: nn.Module, lora: Lora) -> None:
    """Add low-rank matrices to layers of a model; at first they have no effect.

    Raises:
        ConfigError: peft is not installed, no layer's name ends in one of the names, or a layer cannot be adapted.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ConfigError("backbone.lora: needs peft", hint="pip install 'dermtl[lora]'") from error
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for end in lora.layers:
        if not any(name == end or name.endswith(f".{end}") for name in names):
            ends = ", ".join(dict.fromkeys(re.sub(r".*\d\.", "", name) for name in names))
            raise ConfigError(f"backbone.lora.layers: no layer's name ends in {end!r}", hint=f"ends there are: {ends}")
    wanted = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.layers))
    try:
        inject_adapter_in_model(wanted, model)
    except ValueError as error:
        raise ConfigError(f"backbone.lora.layers: {error}") from error


def merge_lora(model: nn.Module) -> None:
    """Merge the low-rank matrices into the weights of their layers, and restore the plain layers."""
    from peft.tuners.lora import LoraLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLayer):
            assert isinstance(layer, nn.Module)
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())


def is_addition(name: str) -> bool:
    """Whether :func:`add_lora` added the parameter of this name."""
    return ".lora_" in name
