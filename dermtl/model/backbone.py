"""Any timm model as a source of pooled features and a pyramid of maps."""

import logging
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.config.weights import read_stated
from dermtl.errors import ConfigError
from dermtl.model.head import FeatureInfo, Features
from dermtl.model.hub import reachable_hub
from dermtl.model.pretrained import create_pretrained

_log = logging.getLogger(__name__)


class Backbone(nn.Module):
    """A timm model without its classifier, which also normalises pictures.

    Attributes:
        model: The timm model.
        features: Shapes of the features that :meth:`forward` gives.
        mean: Mean of the normalisation, in 0..1.
        std: Standard deviation of the normalisation, in 0..1.
        licence: Licence of the pretrained weights, as timm or the file beside them states it; empty if nobody does.

    Raises:
        ConfigError: timm does not know the name, the model does not take the size, or the weights cannot be had.
    """

    _offset: Tensor
    _scale: Tensor

    def __init__(self, config: BackboneConfig, *, pretrained: bool = True) -> None:
        super().__init__()
        self.model = _create(config, config.pretrained if pretrained else False)
        _require_whole_patches(self.model, config)
        data = resolve_model_data_config(self.model)
        self.mean: tuple[float, ...] = tuple(config.mean or data["mean"])
        self.std: tuple[float, ...] = tuple(config.std or data["std"])
        if pretrained and isinstance(config.pretrained, Path) and not config.mean:
            _log.warning(
                "nothing says how the pictures of %s were normalised: mean %s and std %s of %s are assumed; "
                "backbone.mean and backbone.std set them",
                config.pretrained,
                self.mean,
                self.std,
                config.name,
            )
        for name, levels in (("_offset", self.mean), ("_scale", self.std)):
            self.register_buffer(name, torch.tensor(levels).view(1, 3, 1, 1) * 255, persistent=False)
        self.licence = _licence(config, self.model)
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
        """Run once, since timm's attributes differ from the shapes that some models give."""
        mode = self.training
        self.eval()
        with torch.no_grad():
            found = self(torch.zeros(1, 3, size, size))
        self.train(mode)
        channels = tuple(int(m.shape[1]) for m in found.maps)
        return FeatureInfo(int(found.pooled.shape[1]), channels, reductions, size)


def pretrained_cfg(name: str) -> Any:
    """Timm's description of the pretrained weights of a model; None if it has none.

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


def _licence(config: BackboneConfig, model: Any) -> str:
    if isinstance(config.pretrained, Path):
        return read_stated(config.pretrained, config.name).licence
    return str((config.pretrained and model.pretrained_cfg.get("license")) or "")


def _create(config: BackboneConfig, pretrained: bool | Path) -> Any:
    """The timm model with its weights."""
    options: dict[str, Any] = {"num_classes": 0, **config.options}
    known = pretrained_cfg(config.name)
    if known is not None and known.fixed_input_size and known.input_size[-1] != config.image_size:
        options["img_size"] = config.image_size
    try:
        if isinstance(pretrained, Path):
            path = pretrained / "best.safetensors" if pretrained.is_dir() else pretrained
            model, loaded = create_pretrained(config.name, path, options)
            _log.info("weights of %s from %s%s", config.name, path, loaded.in_words())
            return model
        with reachable_hub() if pretrained else nullcontext():
            return timm.create_model(config.name, pretrained=pretrained, **options)
    except TypeError as error:
        raise ConfigError(f"backbone.options: {config.name} does not take them: {error}") from error
    except ConfigError:
        raise
    except Exception as error:
        if not pretrained:
            raise
        source = pretrained.name if isinstance(pretrained, Path) else "timm's hub"
        raise ConfigError(
            f"backbone.pretrained: cannot load weights of {config.name} from {source}: {type(error).__name__}: "
            + (str(error) or type(error).__name__).split("\n")[0],
            hint="give the path of a file of weights of this model, or pretrained: false",
        ) from error


def _require_whole_patches(model: Any, config: BackboneConfig) -> None:
    """A transformer leaves out the pixels right and below its last whole patch, and its map covers the rest alone."""
    embed = getattr(model, "patch_embed", None)
    patch = getattr(embed, "patch_size", None)
    side = patch[0] if isinstance(patch, tuple) else patch
    if isinstance(side, int) and config.image_size % side and not getattr(embed, "dynamic_img_pad", False):
        near = max(side, round(config.image_size / side) * side)
        raise ConfigError(
            f"backbone.image_size: {config.image_size} is no multiple of the {side} px of the patches of {config.name}",
            hint=f"take {near}; pixels beyond the last whole patch would not be seen",
        )
