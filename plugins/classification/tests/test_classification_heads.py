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


def _quotient(head, raw, target):
    """The loss of a batch, as dermtl puts it together: the sum of the rows over the sum of their weights."""
    weights = head.weights(target)
    terms = head.loss(raw, target).items()
    return sum(rows.sum() / weights.get(term, torch.ones(len(target))).sum() for term, rows in terms)


def _focal(**keys):
    return _category(loss="focal", **keys)


SHARES = torch.eye(3)[[0, 1, 2, 1, 0, 2]] * 0.75 + torch.eye(3)[[1, 1, 0, 2, 0, 1]] * 0.25
CASES = [
    (_focal, torch.tensor([0, 1, 2, 1, 0, 2])),
    (_category, torch.tensor([0, 1, 2, 1, 0, 2])),
    (_tags, torch.eye(3).repeat(2, 1).fliplr()),
]


@pytest.mark.parametrize(("build", "target"), CASES)
def test_overfits_one_batch(build, target):
    torch.manual_seed(0)
    head, features = build(dropout=0.0), _features(len(target))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = _quotient(head, head(features), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize(("build", "target"), CASES)
def test_gradient_reaches_every_parameter_and_the_features(build, target):
    head, features = build(), _features(len(target))
    features.pooled.requires_grad_()
    _quotient(head, head(features), target).backward()
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
    torch.testing.assert_close(_quotient(head, raw, target), expected)


@pytest.mark.parametrize("weights", [None, {"c": 4.0}])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("target", [torch.tensor([0, 1, 2, 1, 0, 2]), SHARES], ids=["index", "shares"])
def test_focal_without_focus_is_cross_entropy(weights, smoothing, target):
    raw = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    keys = {"class_weights": weights, "label_smoothing": smoothing}
    plain = _category(**keys).loss(raw, target)["cross_entropy"]
    torch.testing.assert_close(_focal(focal_gamma=0.0, **keys).loss(raw, target)["focal"], plain)
    assert (_focal(focal_gamma=2.0, **keys).loss(raw, target)["focal"] < plain).all()


def test_focal_loss_is_the_papers():
    """Lin et al. 2017: at gamma 2 a row with p = 0.9 counts a hundredth of its cross-entropy."""
    raw = torch.log(torch.tensor([[0.9, 0.06, 0.04]]))
    found = _focal(focal_gamma=2.0).loss(raw, torch.tensor([0]))["focal"][0]
    torch.testing.assert_close(found, -torch.log(torch.tensor(0.9)) * 0.01)
    weighted = _quotient(_focal(class_weights={"a": 3.0}), torch.cat([raw, raw]), torch.tensor([0, 1]))
    second = -torch.log(torch.tensor(0.06)) * 0.94**2
    torch.testing.assert_close(weighted, (3 * found + second) / 4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_loss_stays_finite_where_all_is_certain(gamma):
    raw = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    loss = _focal(focal_gamma=gamma).loss(raw, torch.tensor([0, 0, 1]))["focal"].sum()
    loss.backward()
    assert loss.isfinite()
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("build", [_category, _focal])
def test_whole_shares_are_indices(build):
    raw, index = torch.randn(6, 3), torch.tensor([0, 1, 2, 1, 0, 2])
    torch.testing.assert_close(build().loss(raw, F.one_hot(index, 3).float()), build().loss(raw, index))
    head = build(class_weights={"c": 4.0})
    torch.testing.assert_close(head.weights(F.one_hot(index, 3).float()), head.weights(index))


@pytest.mark.parametrize("build", [_category, _focal])
def test_the_loss_is_linear_in_the_shares(build):
    """What mixup relies on, with class weights too."""
    head, raw = build(class_weights={"c": 4.0}), torch.randn(6, 3)
    first, second = torch.eye(3)[[0, 1, 2, 1, 0, 2]], torch.eye(3)[[1, 1, 0, 2, 0, 1]]
    (mixed,), (one,), (two,) = (head.loss(raw, target).values() for target in (SHARES, first, second))
    torch.testing.assert_close(mixed, 0.75 * one + 0.25 * two)


def test_only_heads_of_one_class_take_shares():
    assert ClassificationHead.soft_targets
    assert not TagsHead.soft_targets


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
    difference = exported_difference(build(), _features)
    assert max(difference(1), difference(3)) < 1e-5
