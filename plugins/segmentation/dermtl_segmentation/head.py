"""Layers, losses and activation of ``type: segmentation``."""

from torch import Tensor, nn

from dermtl.api import FeatureInfo, Features, Head
from dermtl_segmentation.config import SegmentationConfig
from dermtl_segmentation.decoder import Fpn, Unet, group_norm, resize
from dermtl_segmentation.loss import cross_entropy, foreground, soft_dice
from dermtl_segmentation.neck import SingleMapNeck


class SegmentationHead(Head):
    """A decoder over any pyramid and a 1x1 convolution.

    Raw: float [N, 1, S, S], one class's logit; or [N, 1 + C, S, S], logits of background and C classes.
    """

    def __init__(self, config: SegmentationConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.terms = config.loss
        self.image_size = features.image_size
        norm = nn.BatchNorm2d if config.norm == "batch" else group_norm
        channels, reductions = features.channels, features.reductions
        self.neck = SingleMapNeck(channels[-1], reductions[-1], norm) if len(set(reductions)) == 1 else None
        if self.neck is not None:
            channels, reductions = self.neck.channels, self.neck.reductions
        build = Unet if config.decoder == "unet" else Fpn
        self.decoder = build(channels, reductions, config.widths, norm)
        num_classes = len(config.classes)
        self.classify = nn.Conv2d(self.decoder.width, 1 if num_classes == 1 else 1 + num_classes, kernel_size=1)

    def forward(self, features: Features) -> Tensor:
        """Logits at the size of the network's input."""
        maps = features.maps if self.neck is None else self.neck(features.maps)
        return resize(self.classify(self.decoder(maps)), (self.image_size, self.image_size))

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``bce`` (several classes: ``cross_entropy``) and ``dice``, as far as the config's ``loss`` names them.

        Args:
            raw: float32, see the class.
            target: uint8 or int64 [n, S, S], 0 for background and 1..C.
        """
        terms: dict[str, Tensor] = {}
        if "bce" in self.terms:
            terms["bce" if raw.shape[1] == 1 else "cross_entropy"] = cross_entropy(raw, target)
        if "dice" in self.terms:
            terms["dice"] = soft_dice(raw, target)
        return terms

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``mask``: float32 [N, C, S, S], probabilities; the background has the rest."""
        return {"mask": foreground(raw)}
