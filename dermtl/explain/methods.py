"""Maps of how much a score depends on each pixel: float32 [S, S] in the network frame."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dermtl.arrays import Array
from dermtl.errors import ConfigError
from dermtl.explain.score import Score
from dermtl.model.backbone import Backbone

STEPS = 32  # steps of integrated gradients from the black picture
_BATCH_SIZE = 8

Method = Callable[[Score, Tensor], Array]


def input_gradient(score: Score, image: Tensor) -> Array:
    """The absolute gradient of the score by each pixel, summed over colours.

    Args:
        score: The score to explain.
        image: float [1, 3, S, S] in 0..255.

    Source: Simonyan et al. 2014, Deep inside convolutional networks; Esteva et al. 2017 show it as saliency.
    """
    pixels = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(pixels).sum(), pixels)
    return _as_map(gradient[0].abs().sum(dim=0))


def grad_cam(score: Score, image: Tensor) -> Array:
    """Grad-CAM on the last feature map; arguments as for :func:`input_gradient`.

    Raises:
        ConfigError: The backbone has no last map that the score depends on.

    Source: Selvaraju et al. 2017, Grad-CAM: channels weighted by the mean of their gradient, negative sums cut off.
    """
    with _last_features(score.network.backbone) as collected, torch.enable_grad():
        value = score(image.clone().requires_grad_()).sum()
        final = collected[-1]
        (gradient,) = torch.autograd.grad(value, final)
    features, slopes = (_as_channels(values.detach(), score.network.backbone) for values in (final, gradient))
    if not slopes.any():  # only a class token is pooled
        raise ConfigError(
            "the score does not depend on a last map: grad_cam cannot be made for this backbone",
            hint="choose other methods with --method",
        )
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    coarse = F.relu((weights * features).sum(dim=1, keepdim=True))
    return _as_map(F.interpolate(coarse, size=image.shape[-2:], mode="bilinear", align_corners=False)[0, 0])


def integrated_gradients(score: Score, image: Tensor) -> Array:
    """Integrated gradients from a black picture, absolute values; arguments as for :func:`input_gradient`.

    The letterbox pads with black, so the padding is 0. Before the absolute value is taken, the pixels add up to the
    score minus that of the black picture.

    Source: Sundararajan et al. 2017, Axiomatic attribution for deep networks.
    """
    from captum.attr import IntegratedGradients

    parts = IntegratedGradients(score).attribute(image.clone(), n_steps=STEPS, internal_batch_size=_BATCH_SIZE)
    return _as_map(parts[0].sum(dim=0).abs())


METHODS: Mapping[str, Method] = {
    "input_gradient": input_gradient,
    "grad_cam": grad_cam,
    "integrated_gradients": integrated_gradients,
}


@contextmanager
def _last_features(backbone: Backbone) -> Iterator[list[Tensor]]:
    """Collect the last features of the backbone, before pooling, of every pass within the block."""
    collected: list[Tensor] = []
    pool = backbone.model.forward_head

    def collect(final: Tensor, *arguments: object, **options: object) -> Tensor:
        collected.append(final)
        pooled: Tensor = pool(final, *arguments, **options)
        return pooled

    backbone.model.forward_head = collect
    try:
        yield collected
    finally:
        del backbone.model.forward_head  # the method of the class is visible again


def _as_channels(final: Tensor, backbone: Backbone) -> Tensor:
    """A last map as [N, C, h, w]: some models put channels last, and transformers give tokens."""
    if final.ndim == 3:
        tokens = final[:, int(getattr(backbone.model, "num_prefix_tokens", 0)) :]
        side = round(tokens.shape[1] ** 0.5)
        if side**2 != tokens.shape[1]:
            raise ConfigError(f"grad_cam: {tokens.shape[1]} tokens are no square", hint="choose others with --method")
        return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
    if final.ndim == 4 and getattr(backbone.model, "output_fmt", "NCHW") == "NHWC":
        return final.permute(0, 3, 1, 2)
    if final.ndim != 4:
        raise ConfigError("grad_cam: this backbone has no last map", hint="choose other methods with --method")
    return final


def _as_map(values: Tensor) -> Array:
    return np.asarray(values.detach().float().cpu().numpy())
