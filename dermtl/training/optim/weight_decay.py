"""Which parameters of a model have no weight decay."""

from fnmatch import fnmatchcase

from torch import nn


def undecayed(model: nn.Module) -> set[int]:
    """Ids of the parameters without weight decay: one-dimensional ones, biases, and what the model exempts by itself.

    timm's models exempt position embeddings, class tokens, bias tables and the like by ``no_weight_decay()``. If the
    model is wrapped, the outermost module with this method counts, and names are relative to it.

    Source: timm, ``param_groups_weight_decay``.
    """
    exempt = {id(p) for name, p in model.named_parameters() if p.ndim < 2 or name.endswith(".bias")}
    stating = next((module for module in model.modules() if callable(getattr(module, "no_weight_decay", None))), None)
    if stating is not None:
        patterns = stating.no_weight_decay()  # type: ignore[operator]
        for name, parameter in stating.named_parameters():
            plain = name.replace(".base_layer.", ".")  # a layer with low-rank additions lies one deeper
            if any(fnmatchcase(plain, pattern) or fnmatchcase(name, pattern) for pattern in patterns):
                exempt.add(id(parameter))
    return exempt
