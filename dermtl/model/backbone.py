"""Any timm model as a source of pooled features and a pyramid of maps."""

import logging
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.model.head import FeatureInfo, Features

_log = logging.getLogger(__name__)


class Backbone(nn.Module):
    """A timm model without its classifier, which normalises pictures for it.

    Attributes:
        model: The timm model.
        features: What :meth:`forward` gives.
        mean: Mean of the normalisation, in 0..1.
        std: Standard deviation of the normalisation, in 0..1.
        licence: Licence of the pretrained weights as timm states it; empty where none is stated or none were loaded.

    Raises:
        ConfigError: timm does not know the name, the model does not take the size, or the weights cannot be had.
    """

    _offset: Tensor
    _scale: Tensor

    def __init__(self, config: BackboneConfig, *, pretrained: bool = True) -> None:
        super().__init__()
        self.model = _create(config, config.pretrained if pretrained else False)
        data = resolve_model_data_config(self.model)
        self.mean: tuple[float, ...] = tuple(config.mean or data["mean"])
        self.std: tuple[float, ...] = tuple(config.std or data["std"])
        for name, levels in (("_offset", self.mean), ("_scale", self.std)):
            self.register_buffer(name, torch.tensor(levels).view(1, 3, 1, 1) * 255, persistent=False)
        stated = config.pretrained is True and self.model.pretrained_cfg.get("license")
        self.licence = str(stated or "")
        reductions = self._reductions()
        # For each reduction its last map: a ViT's blocks all share one.
        last = {reduction: index for index, reduction in enumerate(reductions)}
        self._indices = [last[reduction] for reduction in sorted(last)]
        try:
            self.features = self._probe(tuple(sorted(last)), config.image_size)
        except (AssertionError, RuntimeError, ValueError) as error:
            told = (str(error) or type(error).__name__).split("\n")[0]
            hint = "larger, or the size that dermtl model show prints"
            raise ConfigError(
                f"backbone.image_size: {config.name} does not take {config.image_size} px: {told}", hint=hint
            ) from error

    def forward(self, image: Tensor) -> Features:
        """Features of letterboxed pictures, uint8 or float [N, 3, S, S] in 0..255, RGB."""
        image = ((image.float() - self._offset) / self._scale).contiguous(memory_format=torch.channels_last)
        if self._indices:
            final, maps = self.model.forward_intermediates(
                image, indices=self._indices, output_fmt="NCHW", intermediates_only=False
            )
        else:
            final, maps = self.model.forward_features(image), []
        return Features(self.model.forward_head(final, pre_logits=True).flatten(1), tuple(maps))

    def _reductions(self) -> list[int]:
        info: Any = getattr(self.model, "feature_info", [])
        if not hasattr(self.model, "forward_intermediates"):
            return []
        return [int(level["reduction"]) for level in getattr(info, "info", info)]

    def _probe(self, reductions: tuple[int, ...], size: int) -> FeatureInfo:
        """Run once: what timm's attributes say of widths differs from what some models give."""
        mode = self.training
        self.eval()
        with torch.no_grad():
            found = self(torch.zeros(1, 3, size, size))
        self.train(mode)
        channels = tuple(int(m.shape[1]) for m in found.maps)
        return FeatureInfo(int(found.pooled.shape[1]), channels, reductions, size)


def stated_weights(name: str) -> Any:
    """What timm states of a model's pretrained weights, None where it has none.

    Raises:
        ConfigError: timm knows no such model, or no such weights of it.
    """
    bare = name.partition(".")[0]
    if not timm.is_model(bare):
        near = get_close_matches(bare, timm.list_models(), n=3)
        raise ConfigError(f"backbone.name: timm knows no model {name!r}", hint=f"near: {', '.join(near) or 'none'}")
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # an unknown tag
        known = timm.list_models(f"{bare}.*", pretrained=True)
        hint = f"known: {', '.join(known) or 'none'}"
        raise ConfigError(f"backbone.name: timm knows no weights {name!r}", hint=hint) from error


def _create(config: BackboneConfig, pretrained: bool | Path) -> Any:
    options: dict[str, Any] = {"num_classes": 0, **config.options}
    known = stated_weights(config.name)
    if known is not None and known.fixed_input_size and known.input_size[-1] != config.image_size:
        options["img_size"] = config.image_size
    if isinstance(pretrained, Path):
        if not pretrained.is_file():
            raise ConfigError(
                f"backbone.pretrained: no such file: {pretrained}", hint="give a safetensors file, true or false"
            )
        if pretrained.suffix != ".safetensors":
            raise ConfigError(f"backbone.pretrained: expected a .safetensors file, got {pretrained.name}")
        options["pretrained_cfg_overlay"] = {"file": str(pretrained)}
    random_state = torch.get_rng_state()
    try:
        model = timm.create_model(config.name, pretrained=bool(pretrained), **options)
    except TypeError as error:
        raise ConfigError(f"backbone.options: {config.name} does not take them: {error}") from error
    except Exception as error:
        if not pretrained:
            raise
        source = pretrained if isinstance(pretrained, Path) else "timm's hub"
        raise ConfigError(
            f"backbone.pretrained: cannot load weights of {config.name} from {source}: {type(error).__name__}: "
            + str(error).split("\n")[0],
            hint="give the path of a safetensors file of this model, or pretrained: false",
        ) from error
    if isinstance(pretrained, Path):
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(random_state)
            blank = timm.create_model(config.name, pretrained=False, **options)
        _refuse_unloaded(model, blank, config.name, pretrained)
    return model


def _refuse_unloaded(model: nn.Module, blank: nn.Module, name: str, path: Path) -> None:
    """Without a classifier timm takes any file, and leaves random what the file does not hold.

    Args:
        model: After loading.
        blank: The same model from the same random state, without loading.
        name: Of the model, for the message.
        path: The file, for the message.
    """
    first = dict(blank.named_parameters())
    missed = [key for key, value in model.named_parameters() if value.ndim >= 2 and torch.equal(value, first[key])]
    if missed:
        raise ConfigError(
            f"backbone.pretrained: {path.name} lacks {len(missed)} tensors of {name}, such as {missed[0]}",
            hint="give a safetensors file of this very model, or pretrained: false",
        )
