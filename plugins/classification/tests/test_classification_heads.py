import pytest
import torch
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.head import ClassificationHead
from dermtl_classification.tags.config import TagsConfig
from dermtl_classification.tags.head import TagsHead
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features

INFO = FeatureInfo(num_pooled=24, channels=(8,), reductions=(32,), image_size=64)
CLASSES = ("a", "b", "c")


def _category(**keys):
    return ClassificationHead(ClassificationConfig(classes=CLASSES, **keys), INFO)


def _tags(**keys):
    return TagsHead(TagsConfig(labels=CLASSES, **keys), INFO)


def _features(num, seed=0):
    return Features(torch.randn(num, INFO.num_pooled, generator=torch.Generator().manual_seed(seed)), ())


CASES = [(_category, torch.tensor([0, 1, 2, 1, 0, 2])), (_tags, torch.eye(3).repeat(2, 1).fliplr())]


@pytest.mark.parametrize(("build", "target"), CASES)
def test_overfits_one_batch(build, target):
    torch.manual_seed(0)
    head, features = build(dropout=0.0), _features(len(target))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = sum(head.loss(head(features), target).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize(("build", "target"), CASES)
def test_gradient_reaches_every_parameter_and_the_features(build, target):
    head, features = build(), _features(len(target))
    features.pooled.requires_grad_()
    sum(head.loss(head(features), target).values()).backward()
    for tensor in (*head.parameters(), features.pooled):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().sum() > 0


def test_activations():
    raw = torch.randn(5, 3).half()
    probability = _category().activate(raw)["probability"]
    assert probability.dtype == torch.float32
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(_tags().activate(raw)["probability"], torch.sigmoid(raw.float()))


def test_class_weights_and_smoothing_are_those_of_cross_entropy():
    raw, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 1, 0, 2])
    head = _category(class_weights={"c": 4.0}, label_smoothing=0.1)
    expected = F.cross_entropy(raw, target, weight=torch.tensor([1.0, 1.0, 4.0]), label_smoothing=0.1)
    torch.testing.assert_close(head.loss(raw, target)["cross_entropy"], expected)


def test_pos_weight_weighs_positives_only():
    raw = torch.zeros(1, 3)
    plain, weighted = _tags(), _tags(pos_weight={"a": 3.0})
    negatives, positives = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    torch.testing.assert_close(weighted.loss(raw, negatives), plain.loss(raw, negatives))
    torch.testing.assert_close(weighted.loss(raw, positives)["bce"], plain.loss(raw, positives)["bce"] * 5 / 3)


def test_weights_are_the_configs_not_the_checkpoints():
    assert set(_category(class_weights={"c": 4.0}).state_dict()) == set(_category().state_dict())


def test_the_first_probabilities_are_near_chance():
    torch.testing.assert_close(
        _category().eval().activate(_category()(_features(8)))["probability"],
        torch.full((8, 3), 1 / 3),
        atol=0.1,
        rtol=0,
    )


def test_an_unfitted_config_builds_no_head():
    with pytest.raises(ValueError, match="fitted"):
        ClassificationHead(ClassificationConfig(), INFO)
    with pytest.raises(ValueError, match="fitted"):
        TagsHead(TagsConfig(labels=CLASSES, pos_weight="auto"), INFO)


@pytest.mark.slow
@pytest.mark.parametrize("build", [_category, _tags])
def test_the_exported_head_agrees_at_any_batch_size(build, exported_difference):
    difference = exported_difference(build(), INFO)
    assert max(difference(1), difference(3)) < 1e-5
