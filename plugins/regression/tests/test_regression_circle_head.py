import pytest
import torch
from dermtl_regression.circle.config import CircleConfig
from dermtl_regression.circle.head import CircleHead, fine_level
from pydantic import ValidationError

from dermtl.api import Circle, FeatureInfo, Features

SIZE = 64
LOSSES = ["quadratic", "smooth_l1", "circle_giou", "quadratic+circle_giou"]
PYRAMIDS = {
    "resnet": FeatureInfo(16, (4, 6, 8, 10, 12), (2, 4, 8, 16, 32), SIZE),
    "convnext": FeatureInfo(16, (6, 8, 10, 12), (4, 8, 16, 32), SIZE),
    "vit": FeatureInfo(16, (12,), (16,), SIZE),
    "single_coarse": FeatureInfo(16, (12,), (32,), SIZE),
}
ODD_SIZES = {2: 30, 4: 15, 8: 7, 16: 3, 32: 2}
# A soft argmax over 4 x 4 places reaches from 8 to 56 only.
TARGET = torch.tensor([[20.0, 40, 12], [50, 16, 30], [32, 28, 10], [12, 52, 22]])


def _features(info, num, sizes=None):
    generator = torch.Generator().manual_seed(num)
    side = {r: (sizes or {}).get(r, info.image_size // r) for r in info.reductions}
    maps = [
        torch.randn(num, c, side[r], side[r], generator=generator)
        for c, r in zip(info.channels, info.reductions, strict=True)
    ]
    return Features(torch.randn(num, info.num_pooled, generator=generator), tuple(maps))


def _head(pyramid="resnet", **keys):
    return CircleHead(CircleConfig(**keys), PYRAMIDS[pyramid])


@pytest.mark.parametrize("xy", ["linear", "soft_argmax"])
@pytest.mark.parametrize("pyramid", PYRAMIDS)
def test_the_first_circle_is_in_the_middle(pyramid, xy):
    head = _head(pyramid, xy=xy).eval()
    circle = head.activate(head(_features(PYRAMIDS[pyramid], 3, ODD_SIZES)))["circle"]
    torch.testing.assert_close(circle, torch.tensor([[32.0, 32.0, 16.0]] * 3), atol=1.5, rtol=0)


@pytest.mark.parametrize("xy", ["linear", "soft_argmax"])
@pytest.mark.parametrize("loss", LOSSES)
def test_overfits_one_batch(loss, xy):
    torch.manual_seed(0)
    info = FeatureInfo(16, (64,), (16,), SIZE)
    head, features = CircleHead(CircleConfig(loss=loss, xy=xy, dropout=0.0), info), _features(info, len(TARGET))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(300):
        optimiser.zero_grad()
        sum(head.loss(head(features), TARGET).values()).backward()
        optimiser.step()
        optimiser.param_groups[0]["lr"] *= 0.99
    assert (head.activate(head(features))["circle"] - TARGET).abs().max() < 0.5


@pytest.mark.parametrize("xy", ["linear", "soft_argmax"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_reaches_every_parameter(loss, xy):
    torch.manual_seed(0)
    head = _head(loss=loss, xy=xy)
    target = TARGET + torch.tensor(
        [0.0, 0.0, 8.0]
    )  # else smooth_l1's slopes cancel: two radii too large, two too small
    sum(head.loss(head(_features(PYRAMIDS["resnet"], len(TARGET))), target).values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("loss", LOSSES)
def test_the_true_circle_has_no_loss(loss):
    head = _head(loss=loss)
    terms = head.loss(TARGET / head.scale, TARGET)
    assert set(terms) == set(loss.split("+"))
    assert all(abs(term.item()) < 1e-4 for term in terms.values())


def test_radius_and_centre_share_a_unit_in_giou():
    head = _head(loss="circle_giou")
    raw = torch.tensor([[32.0, 32.0, 8.0]]) / head.scale
    # Concentric, radii 8 and 16: IoU is 1/4, and the larger disc is the hull.
    assert head.loss(raw, torch.tensor([[32.0, 32.0, 16.0]]))["circle_giou"].item() == pytest.approx(0.75, abs=1e-4)


def test_giou_weight_scales_the_second_term():
    raw = torch.tensor([[0.4, 0.4, 0.4]])
    light, heavy = _head(loss="quadratic+circle_giou"), _head(loss="quadratic+circle_giou", giou_weight=2.0)
    one, other = light.loss(raw, TARGET[:1]), heavy.loss(raw, TARGET[:1])
    assert other["circle_giou"].item() == pytest.approx(4 * one["circle_giou"].item())
    assert other["quadratic"].item() == one["quadratic"].item()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (2, 1)])
def test_soft_argmax_reads_place_from_the_corner(row, column):
    head = _head(xy="soft_argmax")
    info = PYRAMIDS["resnet"]
    features = _features(info, 1)
    peak = torch.zeros(1, 10, 4, 4)
    peak[0, :, row, column] = 1.0
    torch.nn.init.constant_(head.place.score.weight, 10.0)
    raw = head(Features(features.pooled, (*features.maps[:3], peak, features.maps[4])))
    expected = torch.tensor([[(column + 0.5) / 4, (row + 0.5) / 4]])
    torch.testing.assert_close(raw[:, :2], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("reductions", "level"),
    [((2, 4, 8, 16, 32), 3), ((16,), 0), ((32,), 0), ((4, 8), 1), ((16, 16, 16), 2), ((1, 2, 4, 8, 16, 32), 4)],
)
def test_the_map_nearest_to_a_sixteenth_is_used(reductions, level):
    assert fine_level(reductions) == level


def test_config_names_its_columns():
    config = CircleConfig(mask="outline", allow_anisotropic=True)
    assert config.target() == Circle(mask="outline", allow_anisotropic=True)
    assert list(config.outputs()) == ["circle"]
    assert CircleConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("keys", [{"loss": "iou"}, {"xy": "sigmoid"}, {"lambda_r": 0}, {"radius": "r"}])
def test_wrong_keys_are_refused(keys):
    with pytest.raises(ValidationError):
        CircleConfig(**keys)


@pytest.mark.slow
@pytest.mark.parametrize("xy", ["linear", "soft_argmax"])
def test_the_exported_head_agrees_at_any_batch_size(xy, exported_difference):
    info = PYRAMIDS["resnet"]
    difference = exported_difference(_head(xy=xy), lambda num: _features(info, num, ODD_SIZES))
    assert max(difference(1), difference(3)) < 1e-4  # pixels
