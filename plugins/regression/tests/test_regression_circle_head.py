import math

import numpy as np
import pytest
import torch
from dermtl_regression.circle.config import CircleConfig
from dermtl_regression.circle.head import CircleHead, build_circle_head
from dermtl_regression.circle.place import SoftArgmax
from pydantic import ValidationError

from dermtl.api import Circle, FeatureInfo, Features, Record

SIZE = 64
PYRAMIDS = {
    "resnet": FeatureInfo(16, (4, 6, 8, 10, 12), (2, 4, 8, 16, 32), SIZE),
    "convnext": FeatureInfo(16, (6, 8, 10, 12), (4, 8, 16, 32), SIZE),
    "vit": FeatureInfo(16, (12,), (16,), SIZE),
    "single_coarse": FeatureInfo(16, (12,), (32,), SIZE),
    "fine_only": FeatureInfo(16, (12, 8), (2, 4), SIZE),
    "equal": FeatureInfo(16, (12, 12), (16, 16), SIZE),
}
ODD_SIZES = {2: 30, 4: 15, 8: 7, 16: 3, 32: 2}
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
    return build_circle_head(CircleConfig(**keys), PYRAMIDS[pyramid])


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("pyramid", PYRAMIDS)
def test_the_first_circle_is_in_the_middle_with_the_median_radius(pyramid, stride):
    torch.manual_seed(0)
    head = _head(pyramid, stride=stride, median_radius=0.2).eval()
    circle = head.activate(head(_features(PYRAMIDS[pyramid], 3, ODD_SIZES)))["circle"]
    torch.testing.assert_close(circle[:, :2], torch.full((3, 2), 32.0), atol=3, rtol=0)
    torch.testing.assert_close(circle[:, 2], torch.full((3,), 0.2 * SIZE), atol=0, rtol=0.02)


@pytest.mark.parametrize(
    ("pyramid", "stride", "side"),
    [
        ("resnet", 4, 16),
        ("resnet", 8, 8),
        ("vit", 8, 8),
        ("single_coarse", 4, 16),
        ("fine_only", 8, 16),
        ("vit", 4, 16),
    ],
)
def test_the_map_of_places_has_the_stride_that_was_asked_for(pyramid, stride, side):
    head = _head(pyramid, stride=stride)
    decoded = head.decoder(_features(PYRAMIDS[pyramid], 2).maps)
    assert decoded.shape == (2, 64, side, side)


def test_overfits_one_batch():
    torch.manual_seed(0)
    head, features = _head(channels=32), _features(PYRAMIDS["resnet"], len(TARGET))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        sum(term.mean() for term in head.loss(head(features), TARGET).values()).backward()
        optimiser.step()
        optimiser.param_groups[0]["lr"] *= 0.98
    assert (head.activate(head(features))["circle"] - TARGET).abs().max() < 0.5


@pytest.mark.parametrize("pyramid", PYRAMIDS)
def test_gradient_reaches_every_parameter(pyramid):
    torch.manual_seed(0)
    head = _head(pyramid)
    sum(term.sum() for term in head.loss(head(_features(PYRAMIDS[pyramid], 4)), TARGET).values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def _raw(head, circles):
    return torch.stack([circles[:, 0] / SIZE, circles[:, 1] / SIZE, torch.log(circles[:, 2] / head.median)], dim=1)


def test_the_true_circle_has_no_loss():
    head = _head(median_radius=0.3)
    terms = head.loss(_raw(head, TARGET), TARGET)
    assert list(terms) == ["centre", "radius", "giou"]
    assert all(term.shape == (4,) and term.abs().max() < 1e-4 for term in terms.values())


def test_the_terms_are_what_a_row_adds():
    head = _head(median_radius=0.25)
    # Concentric, radii 8 and 16: the logarithm of one half, and an IoU of 1/4, where the larger disc is the hull.
    raw = _raw(head, torch.tensor([[32.0, 32, 8], [32, 40, 16]]))
    terms = head.loss(raw, torch.tensor([[32.0, 32, 16], [32, 32, 16]]))
    assert terms["radius"].tolist() == pytest.approx([math.log(2) - 0.05, 0], abs=1e-5)
    assert terms["centre"].tolist() == pytest.approx([0, 0.5 - 0.05], abs=1e-4)
    assert terms["giou"][0].item() == pytest.approx(0.75, abs=1e-4)
    assert terms["giou"][1].item() == pytest.approx(2 - 0.520956 - 2 / 1.520956 / 1.25**2, abs=1e-3)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 7), (5, 2)])
def test_soft_argmax_reads_place_and_features_from_the_corner(row, column):
    place = SoftArgmax(3)
    torch.nn.init.constant_(place.score.weight, 20.0)
    values = torch.zeros(1, 3, 6, 8)
    values[0, :, row, column] = torch.tensor([1.0, 2, 3])
    centre, there = place(values)
    torch.testing.assert_close(centre, torch.tensor([[(column + 0.5) / 8, (row + 0.5) / 6]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(there, torch.tensor([[1.0, 2, 3]]), atol=1e-5, rtol=0)


def test_soft_argmax_of_an_even_map_is_the_mean_of_places():
    place = SoftArgmax(2)
    torch.nn.init.zeros_(place.score.weight)
    values = torch.randn(2, 2, 5, 4)
    centre, there = place(values)
    torch.testing.assert_close(centre, torch.full((2, 2), 0.5))
    torch.testing.assert_close(there, values.mean(dim=(2, 3)))


def test_wild_raw_values_give_finite_circles():
    head = _head(median_radius=0.1)
    circle = head.activate(torch.tensor([[0.5, 0.5, 1e4], [0.5, 0.5, -1e4]]))["circle"]
    assert circle.isfinite().all()
    assert circle[0, 2] > SIZE
    assert 0 < circle[1, 2] < 1


def test_fitted_notes_the_median_radius_of_the_longer_side(monkeypatch, tmp_path):
    sizes = (100, 200)
    monkeypatch.setattr(Record, "size_hw", property(lambda _: sizes))
    shares = np.geomspace(0.02, 0.2, 501)
    records = [
        Record(f"{i}.png", tmp_path, {"cx": "50", "cy": "25", "r": str(200 * share)}) for i, share in enumerate(shares)
    ]
    config = CircleConfig().fitted(records)
    assert config.median_radius == pytest.approx(np.median(shares), rel=0.02)
    assert config.mean_circle[:2] == (0.25, 0.25)
    assert config.mean_circle[2] == pytest.approx(np.mean(shares), rel=0.02)
    baselines = config.baselines(sizes)
    assert baselines["centred"]["circle"].tolist() == pytest.approx([100, 50, 200 * config.median_radius])
    assert baselines["constant"]["circle"][:2].tolist() == pytest.approx([50, 25])
    head = CircleHead(config, PYRAMIDS["resnet"])
    assert head.median == pytest.approx(SIZE * config.median_radius)


def test_fitting_reads_at_most_200_records_from_all_over(monkeypatch, tmp_path):
    read = []
    monkeypatch.setattr(Record, "size_hw", property(lambda _: (100, 100)))
    monkeypatch.setattr(Circle, "read", lambda self, record: read.append(record.image) or np.array([5.0, 5, 5]))
    CircleConfig().fitted([Record(str(index), tmp_path, {}) for index in range(399)])
    assert len(read) == 200
    assert (read[0], read[-1]) == ("0", "398")


def test_config_names_its_columns():
    config = CircleConfig(mask="outline", allow_anisotropic=True)
    assert config.target() == Circle(mask="outline", allow_anisotropic=True)
    assert list(config.outputs()) == ["circle"]
    assert config.reads() == ()
    assert CircleConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "keys", [{"loss": "iou"}, {"stride": 16}, {"channels": 12}, {"radius": "r"}, {"class": "lesion"}, {"from_": "a"}]
)
def test_wrong_keys_are_refused(keys):
    with pytest.raises(ValidationError):
        CircleConfig(**keys)


@pytest.mark.slow
@pytest.mark.parametrize("pyramid", ["resnet", "vit"])
def test_the_exported_head_agrees_at_any_batch_size(pyramid, exported_difference):
    info = PYRAMIDS[pyramid]
    difference = exported_difference(_head(pyramid), lambda num: _features(info, num, ODD_SIZES))
    assert max(difference(1), difference(3)) < 1e-4  # pixels
