from pathlib import Path

import pytest
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.tags.config import TagsConfig
from pydantic import ValidationError

from dermtl.api import AnnotationError, Category, Record, Tags


def _records(labels, column="label"):
    return [Record(f"{i}.png", Path(), {column: label}, f"m.csv:{i + 2}") for i, label in enumerate(labels)]


def test_classes_are_taken_from_the_training_records_sorted():
    config = ClassificationConfig().fitted(_records(["nv", "mel", "", "nv", " bcc "]))
    assert config.classes == ("bcc", "mel", "nv")
    assert config.outputs() == {"probability": Category(("bcc", "mel", "nv"))}


def test_listed_classes_keep_their_order():
    config = ClassificationConfig(classes=["nv", "mel"])
    assert config.fitted(_records(["mel"])) == config


def test_auto_weights_are_inverse_frequencies_with_mean_one():
    weights = ClassificationConfig(class_weights="auto").fitted(_records(["a"] * 3 + ["b"])).class_weights
    assert weights["b"] == pytest.approx(3 * weights["a"])
    assert sum(weights.values()) / 2 == pytest.approx(1)


def test_a_class_without_records_gets_no_weight():
    config = ClassificationConfig(classes=["a", "b", "c"], class_weights="auto").fitted(_records(["a", "b"]))
    assert config.class_weights == {"a": 1.0, "b": 1.0}


def test_fitted_twice_is_fitted_once():
    once = ClassificationConfig(class_weights="auto").fitted(_records(["a", "b", "b"]))
    assert once.fitted(_records(["a", "c"])) == once


def test_a_fitted_config_survives_json():
    config = ClassificationConfig(class_weights="auto").fitted(_records(["a", "b", "b"]))
    assert ClassificationConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("labels", [[], ["", ""], ["a", "a"]])
def test_fewer_than_two_classes_is_an_error(labels):
    with pytest.raises(AnnotationError, match="two or more classes"):
        ClassificationConfig().fitted(_records(labels))


def test_a_missing_column_names_the_columns_there_are():
    with pytest.raises(AnnotationError, match="the columns are label"):
        ClassificationConfig(column="diagnosis").fitted(_records(["a"]))


def test_a_weight_for_an_unknown_class_is_an_error():
    with pytest.raises(ValidationError, match="names c"):
        ClassificationConfig(classes=["a", "b"], class_weights={"c": 2.0})
    with pytest.raises(AnnotationError, match="'c'"):
        ClassificationConfig(class_weights={"c": 2.0}).fitted(_records(["a", "b"]))


@pytest.mark.parametrize(
    "keys",
    [
        {"classes": ["a"]},
        {"classes": ["a", "a"]},
        {"dropout": 1.0},
        {"label_smoothing": -0.1},
        {"loss": "hinge"},
        {"focal_gamma": -1.0},
        {"class_weights": "balanced"},
        {"class_weights": {"a": 0.0}},
        {"colunm": "label"},
    ],
)
def test_wrong_keys_are_refused(keys):
    with pytest.raises(ValidationError):
        ClassificationConfig(**keys)


def test_tags_positive_weights_are_negatives_per_positive():
    records = _records(["scale|ulcer", "scale", "scale", "always|scale", ""], column="signs")
    config = TagsConfig(labels=["scale", "ulcer", "never"], column="signs", pos_weight="auto")
    with pytest.raises(AnnotationError, match="unknown label 'always'"):
        config.fitted(records)
    fitted = config.fitted([record for record in records if "always" not in record.cells["signs"]])
    assert fitted.pos_weight == pytest.approx({"scale": 1 / 3, "ulcer": 3.0})
    assert fitted.outputs() == {"probability": Tags(("scale", "ulcer", "never"), "signs")}


@pytest.mark.parametrize(
    "keys",
    [{"labels": []}, {"labels": ["a", "a"]}, {"labels": ["a"], "pos_weight": {"b": 1.0}}, {"labels": ["a"], "x": 1}],
)
def test_wrong_keys_of_tags_are_refused(keys):
    with pytest.raises(ValidationError):
        TagsConfig(**keys)


def test_tags_without_annotations_have_no_weights():
    with pytest.raises(AnnotationError, match="none of 1 training records"):
        TagsConfig(labels=["a"], pos_weight="auto").fitted(_records([""], column="a"))
