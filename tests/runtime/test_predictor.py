import csv
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import dermtl
from dermtl.errors import BundleError, ImageReadError, InputError
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category
from dermtl.runtime.predictor import MAX_SIDE_PX


@pytest.fixture(scope="module")
def model(model_path):
    return dermtl.load(model_path, threads=1)


def half_red(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 2] = 255
    return image


sides = st.integers(1, 150)


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, level=st.integers(0, 255))
def test_outputs_come_in_the_pixels_of_the_picture(model_path, height, width, level):
    image = np.full((height, width, 3), level, np.uint8)
    prediction = _model(model_path).predict(image)
    assert prediction.image_hw == (height, width)
    circle = [width / 2, height / 2, max(height, width) / 4]
    # The letterbox pads by whole pixels: the middle of the square is half a source pixel off for an odd difference.
    np.testing.assert_allclose(prediction["extent.circle"], circle, atol=0.501)
    assert prediction["extent.circle"][2] == pytest.approx(circle[2], rel=1e-5)
    assert prediction["outline.mask"].shape == (1, height, width)
    assert prediction["outline.mask"].dtype == np.float32
    assert prediction["diagnosis.probability"].sum() == pytest.approx(1, abs=1e-5)


_models = {}


def _model(path):
    return _models.setdefault(path, dermtl.load(path, threads=1))


@pytest.mark.parametrize("hw", [(32, 32), (200, 300), (301, 97), (33, 640)])
def test_the_mask_lies_where_the_red_is(model, hw):
    mask = model.predict(half_red(*hw))["outline.mask"][0] > 0.5
    truth = half_red(*hw)[..., 0] > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95


def test_the_host_path_is_the_graph_on_the_letterboxed_picture(model):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (70, 45, 3), dtype=np.uint8)
    square = Letterbox((70, 45), 32).apply(image)
    names = list(model.kinds)
    direct = dict(zip(names, model.session.run(names, {"image": square[None]}), strict=True))
    prediction = model.predict(image)
    for name in ("diagnosis.probability", "age.value"):
        np.testing.assert_array_equal(prediction[name], direct[name][0])
    scores = np.exp(10 * square.reshape(-1, 3).mean(axis=0) / 255)
    np.testing.assert_allclose(prediction["diagnosis.probability"], scores / scores.sum(), atol=1e-5)


def test_the_host_path_agrees_with_the_graph_alone_on_a_square_of_its_size(model):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    names = list(model.kinds)
    prediction = model.predict(image)
    for name, value in zip(names, model.session.run(names, {"image": image[None]}), strict=True):
        np.testing.assert_array_equal(prediction[name], value[0])


def test_a_batch_of_unlike_sizes_is_each_picture_alone(model):
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(5, 9), (64, 64), (1, 1), (100, 31)]]
    alone = [model.predict(image) for image in images]
    for together in (model.predict_batch(images), list(model.predict_iter(iter(images), batch_size=3))):
        assert len(together) == len(alone)
        for one, other in zip(together, alone, strict=True):
            assert one.image_hw == other.image_hw
            for name in one.values:
                np.testing.assert_allclose(one[name], other[name], atol=1e-5)


def test_no_picture_is_no_prediction(model):
    assert model.predict_batch([]) == []
    assert list(model.predict_iter([])) == []


def test_paths_text_bytes_and_arrays_are_one(model, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(half_red(20, 33)).save(path)
    for source in (path, str(path), path.read_bytes(), half_red(20, 33)):
        assert model.predict(source).to_json() == model.predict(path).to_json()


def test_pictures_are_turned_upright(model, pictures):
    assert model.predict(pictures / "turned.jpg").image_hw == (50, 30)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, MAX_SIDE_PX + 1, 3), np.uint8),
    ],
)
def test_a_wrong_array_says_what_was_expected(model, wrong):
    with pytest.raises(InputError):
        model.predict(wrong)


def test_a_strip_is_refused_before_it_is_padded_to_a_square(model):
    content = io.BytesIO()
    Image.new("L", (90_000, 2)).save(content, "PNG")
    with pytest.raises(ImageReadError, match="a side is longer than"):
        model.predict(content.getvalue())


def test_broken_files_are_image_errors(model, pictures):
    for name in ("cut.jpg", "text.jpg", "absent.jpg"):
        with pytest.raises(ImageReadError, match=name):
            model.predict(pictures / name)


def test_arrays_of_any_layout_are_read(model):
    image = half_red(20, 30)
    np.testing.assert_array_equal(
        model.predict(np.asfortranarray(image))["outline.mask"], model.predict(image)["outline.mask"]
    )
    assert model.predict(image[::-1, ::2]).image_hw == (20, 15)


def test_one_model_serves_many_threads(model):
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (h, h + 3, 3), dtype=np.uint8) for h in range(1, 60)]
    expected = [model.predict(image).to_json() for image in images]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda image: model.predict(image).to_json(), images)) == expected


def test_numbers_that_are_not_finite_are_refused(model):
    square = model.prepare(half_red(8, 8))
    outputs = model.run([square])[0]
    outputs["age.value"] = np.array([np.nan], np.float32)
    with pytest.raises(BundleError, match=r"model\.onnx: output age\.value is not finite"):
        model.restore(outputs, square.letterbox)


def test_a_graph_that_gives_other_shapes_is_refused(tmp_path, build_model, build_bundle):
    """A file whose declared shapes lie: only running it shows."""
    onnx = pytest.importorskip("onnx")
    kinds = {**build_bundle().outputs, "diagnosis.probability": Category(tuple("abcd"))}
    proto = onnx.load(build_model(tmp_path / "model.onnx", bundle=build_bundle(outputs=kinds)))
    for output in proto.graph.output:
        if output.name == "diagnosis.probability":
            output.type.tensor_type.shape.dim[1].dim_param = "K"
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(BundleError, match=r"diagnosis\.probability"):
        dermtl.load(tmp_path / "model.onnx").predict(half_red(8, 8))


def test_loading_is_what_imports_onnxruntime():
    code = "import sys, dermtl.runtime.predictor; assert 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_photographs(model, shared):
    """Real pictures with annotated circles: the outputs lie inside, JSON is plain, drawing works."""
    for folder in ("ph2", "bccd", "isic_uda1", "busi"):
        with (shared / "data" / folder / "labels.csv").open(encoding="utf-8") as file:
            rows = [row for _, row in zip(range(3), csv.DictReader(file), strict=False)]
        paths = [shared / "data" / folder / row["image"] for row in rows]
        for row, path, prediction in zip(rows, paths, model.predict_batch(paths), strict=True):
            assert prediction.image_hw == (int(row["height"]), int(row["width"]))
            x, y, _ = prediction["extent.circle"]
            assert 0 <= x <= int(row["width"])
            assert 0 <= y <= int(row["height"])
            json.dumps(prediction.to_json(), allow_nan=False)
            assert prediction.draw(read_image(path)).shape == (*prediction.image_hw, 3)


def test_numbers_below_one_are_refused(model_path):
    model = dermtl.load(model_path)
    with pytest.raises(InputError, match="batch_size: expected 1 or more, got 0"):
        list(model.predict_iter(["a.jpg"], batch_size=0))
    with pytest.raises(InputError, match="threads: expected 1 or more, got 0"):
        dermtl.load(model_path, threads=0)
