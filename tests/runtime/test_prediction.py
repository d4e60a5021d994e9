import json

import numpy as np
import pytest

from dermtl.errors import InputError
from dermtl.kinds import Category, Circle, Mask, Number, Tags
from dermtl.runtime.prediction import Prediction

KINDS = {
    "diagnosis.probability": Category(("mel", "nv")),
    "outline.mask": Mask(("lesion",)),
    "extent.circle": Circle(),
}


@pytest.fixture
def prediction():
    mask = np.zeros((1, 40, 60), np.float32)
    mask[0, :20, :30] = 0.9
    values = {
        "diagnosis.probability": np.array([0.25, 0.75], np.float32),
        "outline.mask": mask,
        "extent.circle": np.array([30, 20, 10], np.float32),
    }
    return Prediction((40, 60), values, KINDS)


def test_a_full_name_gives_the_array(prediction):
    assert prediction["extent.circle"].tolist() == [30, 20, 10]


def test_a_head_gives_its_block(prediction):
    assert prediction["diagnosis"] == {"label": "nv", "probability": {"mel": 0.25, "nv": 0.75}}


@pytest.mark.parametrize("name", ["age", "diag", "diagnosis.", "", "diagnosis.label"])
def test_an_unknown_name_lists_the_outputs(prediction, name):
    with pytest.raises(KeyError, match=r"diagnosis\.probability"):
        prediction[name]


def test_json_has_one_block_a_head(prediction):
    assert json.loads(json.dumps(prediction.to_json())) == {
        "diagnosis": {"label": "nv", "probability": {"mel": 0.25, "nv": 0.75}},
        "outline": {"area_px": {"lesion": 600}, "area_share": {"lesion": 0.25}},
        "extent": {"circle": {"cx": 30.0, "cy": 20.0, "r": 10.0}},
    }


def test_columns_have_dotted_names(prediction):
    assert prediction.columns() == {
        "diagnosis.probability.mel": 0.25,
        "diagnosis.probability.nv": 0.75,
        "outline.mask.lesion.area_px": 600.0,
        "extent.circle.cx": 30.0,
        "extent.circle.cy": 20.0,
        "extent.circle.r": 10.0,
    }


def test_outputs_of_one_head_are_merged():
    kinds = {"a.circle": Circle(), "a.probability": Category(("x", "y"))}
    values = {"a.circle": np.ones(3, np.float32), "a.probability": np.array([1, 0], np.float32)}
    assert set(Prediction((1, 1), values, kinds)["a"]) == {"circle", "label", "probability"}


def test_outputs_of_one_kind_stay_apart():
    kinds = {"a.present": Tags(("x",)), "a.likely": Tags(("x",)), "b.age": Number(("age",))}
    values = {name: np.ones(1, np.float32) for name in kinds}
    block = Prediction((1, 1), values, kinds).to_json()
    assert block["a"] == {name: {"labels": ["x"], "probability": {"x": 1.0}} for name in ("present", "likely")}
    assert block["b"] == {"value": {"age": 1.0}}


def test_drawing_leaves_the_picture_alone(prediction):
    image = np.full((40, 60, 3), 120, np.uint8)
    drawn = prediction.draw(image)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (image == 120).all()
    assert (drawn[:, 45:] != 120).any()  # caption
    assert (drawn[30, 15:45] != 120).any()  # circle
    assert (drawn[5:38, 0] != drawn[5:38, 59]).any()  # mask


def test_shapes_and_text_lie_above_masks():
    """A mask over everything must not tint the circle's line."""
    whole = {"outline.mask": np.ones((1, 90, 90), np.float32), "extent.circle": np.array([45, 45, 20], np.float32)}
    image = np.zeros((90, 90, 3), np.uint8)
    alone = Prediction((90, 90), {"extent.circle": whole["extent.circle"]}, KINDS).draw(image)
    both = Prediction((90, 90), dict(reversed(whole.items())), KINDS).draw(image)
    line = alone.any(axis=2)
    assert (both[line] == alone[line]).all()


@pytest.mark.parametrize(
    "wrong", [np.zeros((60, 40, 3), np.uint8), np.zeros((40, 60, 3)), np.zeros((40, 60), np.uint8)]
)
def test_another_picture_is_refused(prediction, wrong):
    with pytest.raises(InputError, match=r"\[40, 60, 3\]"):
        prediction.draw(wrong)
