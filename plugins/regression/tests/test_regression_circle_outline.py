"""The circle that is read off an outline, against NumPy's moments and ONNX Runtime."""

import math

import numpy as np
import onnxruntime as ort
import pytest
import torch
from dermtl_regression.circle.config import CircleConfig
from dermtl_regression.circle.head import build_circle_head
from dermtl_regression.circle.outline import moments

from dermtl.api import Category, Circle, FeatureInfo, Features, Mask

SIZE = 64
INFO = FeatureInfo(8, (4,), (16,), SIZE)


def _disc(x, y, radius, size=SIZE):
    columns, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    return (((columns - x) ** 2 + (rows - y) ** 2) <= radius**2).astype(np.float32)


def _blob(seed):
    """A ragged region: three quarters of a disc's pixels."""
    return _disc(40, 30, 18) * (np.random.default_rng(seed).random((SIZE, SIZE)) > 0.25)


def _ellipse(length, breadth):
    columns, rows = np.meshgrid(np.arange(SIZE) + 0.5 - 30, np.arange(SIZE) + 0.5 - 33)
    along, across = (columns + rows) / math.sqrt(2), (columns - rows) / math.sqrt(2)
    return ((2 * along / length) ** 2 + (2 * across / breadth) ** 2 <= 1).astype(np.float32)


def test_regions_far_from_the_main_one_do_not_count():
    main = _disc(20, 24, 10)
    stray = np.maximum(main, np.maximum(_disc(58, 58, 3), _disc(60, 5, 2)))
    np.testing.assert_allclose(moments(torch.from_numpy(stray)[None])[0].numpy(), _numpy_moments(main), atol=1e-3)


def test_pieces_too_far_apart_to_have_a_main_one_give_the_circle_of_all():
    apart = np.maximum(_disc(8, 8, 3), _disc(56, 56, 3))
    np.testing.assert_allclose(moments(torch.from_numpy(apart)[None])[0].numpy(), _numpy_moments(apart), atol=1e-3)


def _numpy_moments(mask):
    rows, columns = np.nonzero(mask)
    return [columns.mean() + 0.5, rows.mean() + 0.5, math.sqrt(len(rows) / math.pi)]


def test_a_perfect_mask_gives_its_moments():
    masks = [_disc(30.5, 20, 11), _disc(5, 60, 14), _blob(0), _ellipse(36, 14), np.ones((64, 64)), _disc(9.5, 9.5, 1)]
    found = moments(torch.from_numpy(np.stack(masks)).float())
    np.testing.assert_allclose(found.numpy(), [_numpy_moments(mask) for mask in masks], atol=1e-4)


def test_it_is_the_circle_that_the_kind_derives_from_a_mask_file(tmp_path):
    from PIL import Image

    from dermtl.api import Record

    mask = _disc(40, 25, 12)[:48]
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "m.png")
    truth = Circle(mask="mask").read(Record("m.png", tmp_path, {"mask": "m.png"}))
    np.testing.assert_allclose(moments(torch.from_numpy(mask)[None])[0].numpy(), truth, atol=1e-4)


def test_pixels_count_from_one_half_on():
    mask = _disc(32, 32, 10)
    shaded = torch.from_numpy(np.where(mask > 0, 0.66, 0.47).astype(np.float32))
    np.testing.assert_allclose(moments(shaded[None])[0].numpy(), _numpy_moments(mask), atol=1e-4)


def test_a_rounding_error_moves_the_circle_by_a_rounding_error():
    probability = torch.full((1, SIZE, SIZE), 0.5)
    probability[:, :, 32:] = 0.01
    above, below = moments(probability + 1e-6), moments(probability - 1e-6)
    assert (above - below).abs().max() < 1e-3


def test_without_a_pixel_above_one_half_the_likeliest_region_counts():
    mask = _disc(20, 40, 9)
    faint = torch.from_numpy(0.3 * mask + 0.02)
    np.testing.assert_allclose(moments(faint[None])[0].numpy(), _numpy_moments(mask), atol=1e-3)


def test_an_outline_of_zeros_gives_a_finite_circle_in_the_middle():
    assert moments(torch.zeros(2, SIZE, 48)).tolist() == [[24, 32, 0]] * 2


def test_the_class_is_found_by_its_name():
    config = CircleConfig(**{"from": "outline", "class": "disc"})
    outputs = {"outline.mask": Mask(("cup", "disc"))}
    head = build_circle_head(config.connected(outputs), INFO)
    masks = torch.from_numpy(np.stack([_disc(10, 10, 5), _disc(44, 30, 9)]))[None]
    features = Features(torch.zeros(1, 8), (), {"outline.mask": masks})
    circle = head.activate(head(features))["circle"]
    np.testing.assert_allclose(circle[0].numpy(), _numpy_moments(masks[0, 1].numpy()), atol=1e-4)


def test_it_has_no_parameters_and_no_loss():
    head = build_circle_head(CircleConfig(**{"from": "outline"}), INFO)
    assert not list(head.parameters())
    assert not head.state_dict()
    assert head.loss(torch.ones(2, 3), torch.ones(2, 3)) == {}


def test_nothing_flows_back_into_the_outline():
    probability = torch.rand(1, 1, SIZE, SIZE, requires_grad=True)
    head = build_circle_head(CircleConfig(**{"from": "outline"}), INFO)
    assert not head(Features(torch.zeros(1, 8), (), {"outline.mask": probability})).requires_grad


@pytest.mark.parametrize(
    ("keys", "kind", "message"),
    [
        ({}, Category(("a", "b")), "needs the mask of an outline"),
        ({}, Mask(("cup", "disc")), "several classes: cup, disc; say which with 'class'"),
        ({"class": "rim"}, Mask(("cup", "disc")), "outlines no class 'rim'; its classes: cup, disc"),
    ],
)
def test_what_gives_no_outline_is_refused(keys, kind, message):
    config = CircleConfig(**{"from": "outline", **keys})
    with pytest.raises(ValueError, match=message):
        config.connected({"outline.mask": kind})


def test_the_keys_round_trip_by_the_names_of_the_file():
    config = CircleConfig(**{"from": "outline", "class": "lesion"})
    assert config.reads() == ("outline",)
    stored = config.model_dump(mode="json")
    assert (stored["from"], stored["class"]) == ("outline", "lesion")
    assert CircleConfig.model_validate(stored) == config
    assert {"from", "class"} <= set(CircleConfig.model_json_schema()["properties"])


@pytest.mark.slow
def test_onnx_runtime_gives_the_same_circle():
    class Graph(torch.nn.Module):
        def forward(self, probability):
            return moments(probability)

    masks = torch.from_numpy(np.stack([_disc(30.5, 20, 11), _blob(1), 0.2 * _disc(9, 9, 4), np.zeros((SIZE, SIZE))]))
    masks = torch.cat([masks.float(), torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))])
    program = torch.onnx.export(
        Graph().eval(),
        (masks[:2],),
        dynamo=True,
        opset_version=20,
        verbose=False,
        dynamic_shapes={"probability": {0: torch.export.Dim.DYNAMIC}},
    )
    session = ort.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (name,) = (node.name for node in session.get_inputs())
    np.testing.assert_allclose(session.run(None, {name: masks.numpy()})[0], moments(masks).numpy(), atol=1e-3)
