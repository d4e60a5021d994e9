import pytest
import torch
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.head import ClassificationHead

from dermtl.api import AnnotationError, FeatureInfo, Record

FEATURES = FeatureInfo(num_pooled=4, channels=(), reductions=(), image_size=32)


def records(labels: list[str]) -> list[Record]:
    return [Record("x.jpg", None, {"label": label}) for label in labels]  # type: ignore[arg-type]


def test_the_correction_is_bayes_rule():
    """Trained on 3:1, used on 1:9: p' is proportional to p * deployed / trained."""
    config = ClassificationConfig(deployment_prior={"a": 0.1, "b": 0.9}).fitted(records(["a", "a", "a", "b"]))
    assert config.training_prior == {"a": 3, "b": 1}
    head = ClassificationHead(config, FEATURES).eval()
    raw = torch.tensor([[0.3, -0.2], [2.0, 2.0]])
    before = torch.softmax(raw, dim=1)
    expected = before * torch.tensor([0.1 / 3, 0.9 / 1])
    expected /= expected.sum(dim=1, keepdim=True)
    torch.testing.assert_close(head.activate(raw)["probability"], expected)


def test_equal_priors_change_nothing():
    config = ClassificationConfig(deployment_prior={"a": 0.5, "b": 0.5}, class_weights="auto")
    fitted = config.fitted(records(["a", "a", "a", "b"]))
    assert fitted.training_prior is not None
    assert fitted.training_prior["a"] == pytest.approx(fitted.training_prior["b"])  # weighted, training saw 1:1
    raw = torch.randn(5, 2)
    found = ClassificationHead(fitted, FEATURES).activate(raw)["probability"]
    torch.testing.assert_close(found, torch.softmax(raw, dim=1))


def test_the_loss_is_not_corrected():
    plain = ClassificationConfig(classes=("a", "b"))
    corrected = ClassificationConfig(
        classes=("a", "b"), deployment_prior={"a": 0.9, "b": 0.1}, training_prior={"a": 0.5, "b": 0.5}
    )
    raw, target = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, 1, 0])
    losses = [ClassificationHead(config, FEATURES).loss(raw, target)["cross_entropy"] for config in (plain, corrected)]
    assert losses[0].equal(losses[1])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ClassificationConfig(deployment_prior={"a": 0.5, "c": 0.5}), "check 'b'"),
        (ClassificationConfig(deployment_prior={"a": 0.5}), "check 'b'"),
        (ClassificationConfig(classes=("a", "b", "c"), deployment_prior={"a": 0.5, "b": 0.3, "c": 0.2}), "'c'"),
    ],
)
def test_a_prior_that_does_not_fit_is_said(config, words):
    with pytest.raises(AnnotationError, match=words):
        config.fitted(records(["a", "b", "b"]))


def test_a_fitted_prior_stays():
    once = ClassificationConfig(deployment_prior={"a": 0.1, "b": 0.9}).fitted(records(["a", "b", "b"]))
    assert once.fitted(records(["a", "a", "b"])) == once
    assert ClassificationConfig.model_validate(once.model_dump(mode="json")) == once
