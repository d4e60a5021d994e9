import pytest
import torch
from dermtl_segmentation.config import UNET_CHANNELS, SegmentationConfig
from dermtl_segmentation.decoder import Unet, group_norm
from dermtl_segmentation.head import SegmentationHead
from torch import nn

from dermtl.api import FeatureInfo, Features

# Reductions and map sizes as timm's backbones have them; few channels, so that the tests are quick.
PYRAMIDS = {
    "resnet": (FeatureInfo(8, (4, 6, 8, 8, 12), (2, 4, 8, 16, 32), 64), (32, 16, 8, 4, 2)),
    "convnext": (FeatureInfo(8, (4, 8, 8, 12), (4, 8, 16, 32), 64), (16, 8, 4, 2)),
    "vgg": (FeatureInfo(8, (4, 4, 6, 8, 8, 12), (1, 2, 4, 8, 16, 32), 64), (64, 32, 16, 8, 4, 2)),
    "inception": (FeatureInfo(8, (4, 6, 8, 8, 12), (2, 4, 8, 16, 32), 107), (51, 23, 11, 5, 2)),
    "vit": (FeatureInfo(8, (16,), (16,), 80), (5,)),
    "vit_three_maps": (FeatureInfo(8, (16, 16, 16), (16, 16, 16), 64), (4, 4, 4)),
    "one_coarse_map": (FeatureInfo(8, (16,), (32,), 64), (2,)),
}
DECODERS = {"unet": (16, 8, 8, 8, 8), "fpn": 16}


def _features(pyramid, num):
    info, sizes = PYRAMIDS[pyramid]
    generator = torch.Generator().manual_seed(num)
    maps = [torch.randn(num, c, s, s, generator=generator) for c, s in zip(info.channels, sizes, strict=True)]
    return Features(torch.randn(num, info.num_pooled, generator=generator), tuple(maps))


def _head(pyramid="resnet", *, decoder="unet", **keys):
    config = SegmentationConfig(decoder=decoder, **{"channels": DECODERS[decoder], **keys})
    return SegmentationHead(config, PYRAMIDS[pyramid][0])


def _target(size, num, num_classes):
    """Squares of class 1, 2, ... on a background."""
    target = torch.zeros(num, size, size, dtype=torch.uint8)
    for image in range(num):
        for number in range(1, num_classes + 1):
            top = (7 * image + 20 * (number - 1)) % (size - 24)
            target[image, top : top + 16, top : top + 20] = number
    return target


@pytest.mark.parametrize("classes", [("lesion",), ("disc", "cup", "vessel")])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("pyramid", PYRAMIDS)
def test_any_pyramid_gives_probabilities_at_the_inputs_size(pyramid, decoder, classes):
    head, size = _head(pyramid, decoder=decoder, classes=classes), PYRAMIDS[pyramid][0].image_size
    raw = head(_features(pyramid, 2))
    assert raw.shape == (2, 1 if len(classes) == 1 else 4, size, size)
    mask = head.activate(raw)["mask"]
    assert mask.shape == (2, len(classes), size, size)
    assert mask.dtype == torch.float32
    assert mask.min() >= 0
    assert mask.sum(dim=1).max() <= 1 + 1e-6


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("pyramid", PYRAMIDS)
def test_gradient_reaches_every_parameter(pyramid, decoder, norm):
    head, size = _head(pyramid, decoder=decoder, norm=norm), PYRAMIDS[pyramid][0].image_size
    sum(head.loss(head(_features(pyramid, 2)), _target(size, 2, 1)).values()).mean().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("loss", ["bce_dice", "bce", "dice"])
@pytest.mark.parametrize("classes", [("lesion",), ("disc", "cup")])
def test_overfits_one_batch(classes, loss):
    torch.manual_seed(0)
    head, features = _head(classes=classes, loss=loss), _features("resnet", 2)
    target = _target(64, 2, len(classes))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.005)
    for _ in range(150):
        optimiser.zero_grad()
        sum(head.loss(head(features), target).values()).mean().backward()
        optimiser.step()
    mask = head.activate(head(features))["mask"]
    truth = torch.stack([target == number for number in range(1, len(classes) + 1)], dim=1)
    both = ((mask > 0.5) & truth).sum(dim=(0, 2, 3))
    assert (2 * both / ((mask > 0.5).sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))) > 0.9).all()


def test_default_widths_are_trimmed_to_the_pyramid():
    def built(reductions, channels, widths=UNET_CHANNELS):
        unet = Unet(channels, reductions, widths, nn.BatchNorm2d)
        return [step[1][0].out_channels for step in unet.steps]

    assert built((2, 4, 8, 16, 32), (4, 4, 4, 4, 4)) == [256, 128, 64, 32, 16]
    assert built((4, 8, 16, 32), (4, 4, 4, 4)) == [256, 128, 64, 32]
    assert built((1, 2, 4, 8, 16, 32), (4, 4, 4, 4, 4, 4)) == [256, 128, 64, 32, 16]
    assert built((2, 4, 8, 16, 32), (4, 4, 4, 4, 4), (32, 8)) == [32, 8, 8, 8, 8]


@pytest.mark.parametrize("channels", [1, 6, 16, 24, 128, 256])
def test_group_norm_fits_any_width(channels):
    norm = group_norm(channels)
    assert channels % norm.num_groups == 0
    assert norm(torch.randn(2, channels, 3, 3)).shape == (2, channels, 3, 3)


def test_a_batch_of_one_trains():
    head = _head("vit")
    loss = sum(head.loss(head(_features("vit", 1)), _target(80, 1, 1)).values()).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(parameter.grad is not None for parameter in head.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pyramid", "decoder", "norm", "classes"),
    [
        ("inception", "unet", "batch", ("a",)),
        ("inception", "fpn", "group", ("a", "b")),
        ("vit", "unet", "group", ("a",)),
        ("vit", "fpn", "batch", ("a", "b")),
    ],
)
def test_the_exported_head_agrees_at_any_batch_size(pyramid, decoder, norm, classes, exported_difference):
    head = _head(pyramid, decoder=decoder, norm=norm, classes=classes)
    difference = exported_difference(head, lambda num: _features(pyramid, num))
    assert max(difference(1), difference(3)) < 5e-5
