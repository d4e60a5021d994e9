"""Maps of scores that are known, and of a real network."""

import numpy as np
import pytest
import torch

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.explain.methods import METHODS, grad_cam, input_gradient, integrated_gradients
from dermtl.explain.score import Score, choose_head, explainable
from dermtl.model.backbone import Backbone

WEIGHTS = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
IMAGE = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 255


def linear(images):
    return (images * WEIGHTS).sum(dim=(1, 2, 3))


def test_the_gradient_of_a_linear_score_is_its_weights():
    np.testing.assert_allclose(input_gradient(linear, IMAGE), WEIGHTS.abs().sum(dim=0), rtol=1e-5)


def test_integrated_gradients_of_a_linear_score_are_what_every_pixel_adds():
    expected = (IMAGE[0] * WEIGHTS).sum(dim=0).abs()
    np.testing.assert_allclose(integrated_gradients(linear, IMAGE), expected, rtol=1e-3, atol=1e-3)


@pytest.fixture
def score(loaded):
    plan = choose_head(loaded.plans)
    return Score(loaded.network, {}, *explainable(plan)["malignant"])


@pytest.fixture
def image():
    """A picture between two bands of padding."""
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[:, :, 16:48] = torch.rand(1, 3, 32, 64, generator=torch.Generator().manual_seed(2)) * 255
    return pixels


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_maps_of_a_network(score, loaded, image, method):
    found = method(score, image)
    assert (found.shape, found.dtype) == ((64, 64), np.float32)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    # What speaks against one side of the tree speaks for the other; grad_cam cuts it off.
    against = Score(loaded.network, {}, *explainable(choose_head(loaded.plans))["benign"])
    assert found.std() + method(against, image).std() > 0
    np.testing.assert_allclose(method(score, image), found, rtol=1e-4, atol=1e-7)


def test_padding_adds_nothing(score, image):
    found = integrated_gradients(score, image)
    assert found[:16].max() == found[48:].max() == 0
    assert found[16:48].max() > 0


def test_a_score_is_the_log_of_what_the_network_says(score, image):
    with torch.no_grad():
        outputs = score.network.activate(score.network(image))
    expected = outputs["diagnosis.node_probability"][0, score.index].log()
    torch.testing.assert_close(score(image)[0], expected)


def test_the_network_is_left_as_it_was(score, image):
    before = {name: value.clone() for name, value in score.network.state_dict().items()}
    for method in METHODS.values():
        method(score, image)
    assert all(torch.equal(before[name], value) for name, value in score.network.state_dict().items())
    assert "forward_head" not in vars(score.network.backbone.model)
    assert all(parameter.grad is None for parameter in score.network.parameters())


class Pooled(torch.nn.Module):
    """A score on a bare backbone."""

    def __init__(self, name):
        super().__init__()
        self.backbone = Backbone(BackboneConfig(name=name, pretrained=False, image_size=160)).eval()
        self.network = self

    def forward(self, images):
        pooled = self.backbone(images).pooled
        return pooled @ torch.linspace(-1, 1, pooled.shape[1])  # the plain sum of a layer norm is constant


@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet", "test_vit3"])
def test_grad_cam_of_other_backbones(name):
    assert grad_cam(Pooled(name), torch.rand(1, 3, 160, 160) * 255).shape == (160, 160)


def test_grad_cam_says_where_a_class_token_hides_the_map():
    with pytest.raises(ConfigError, match="grad_cam cannot be made"):
        grad_cam(Pooled("test_vit"), torch.rand(1, 3, 160, 160) * 255)


def test_heads_that_can_be_explained(loaded):
    assert choose_head(loaded.plans).name == "diagnosis"
    assert choose_head(loaded.plans, "any").name == "any"
    for name in ("age", "none"):
        with pytest.raises(ConfigError, match="no classes or tags"):
            choose_head(loaded.plans, name)
    found = explainable(loaded.plans["diagnosis"])
    assert found["benign/nevus"][0] == "diagnosis.probability"
    assert found["root"][0] == "diagnosis.node_probability"
