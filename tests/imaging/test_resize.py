"""The one resize: the operator in its file, and how close Pillow comes."""

import hashlib
import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermtl.imaging import resize as module
from dermtl.imaging.resize import resize


def test_the_file_holds_one_standard_operator():
    onnx = pytest.importorskip("onnx")
    picture = ["N", "H", "W", 3]
    node = onnx.helper.make_node(
        "Resize", ["image", "", "", "sizes"], ["resized"],
        antialias=1, coordinate_transformation_mode="half_pixel", exclude_outside=1, mode="linear",
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [node],
        "resize",
        [
            onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, picture),
            onnx.helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, [4]),
        ],
        [onnx.helper.make_tensor_value_info("resized", onnx.TensorProto.UINT8, ["N", "S", "S", 3])],
    )
    expected = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    assert onnx.load_from_string(module._MODEL.read_bytes()) == expected


@settings(max_examples=60, deadline=None)
@given(side=st.integers(2, 500), size=st.integers(16, 256), seed=st.integers(0, 9), steep=st.booleans())
def test_within_a_level_of_pillow_without_rounding(side, size, seed, steep):
    """Two passes round once each, by half a level at most; Pillow resizes pictures of floats without rounding."""
    image = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    if steep:
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(image, 2, 0).astype(np.float32)]
    exact = np.stack([plane.resize((size, size), Image.Resampling.BILINEAR) for plane in planes], axis=2)
    assert np.abs(resize(image[None], size)[0] - exact).max() <= 1.001


def test_pictures_of_a_batch_do_not_touch_one_another():
    images = np.random.default_rng(0).integers(0, 256, (5, 90, 90, 3), dtype=np.uint8)
    alone = np.concatenate([resize(image[None], 41) for image in images])
    assert np.array_equal(resize(images, 41), alone)


def digest(seed: int) -> str:
    image = np.random.default_rng(seed).integers(0, 256, (1, 77, 77, 3), dtype=np.uint8)
    return hashlib.sha256(resize(image, 32).tobytes()).hexdigest()


def test_processes_forked_after_it_was_used_resize_alike():
    expected = [digest(seed) for seed in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(digest, range(4)) == expected
