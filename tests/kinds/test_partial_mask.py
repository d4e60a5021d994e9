"""Masks with pixels that are not known, as VOC stores them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.config.experiment import Data, Experiment
from dermtl.data.checks.check_dataset import check_dataset
from dermtl.errors import AnnotationError
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.view import View
from dermtl.kinds import Kind, Mask, PartialMask, Record

VALUES = np.zeros((20, 30), np.uint8)
VALUES[4:12, 6:20] = 255
VALUES[5:11, 7:19] = 1


def record(folder: Path, values: np.ndarray, *, is_indexed: bool = False) -> Record:
    noise = np.random.default_rng(0).integers(0, 255, (*values.shape, 3), np.uint8)
    Image.fromarray(noise).save(folder / "p.png")
    image = Image.fromarray(values)
    if is_indexed:  # VOC's palette begins with black and shows 255 in cream
        image.putpalette([0, 0, 0, 128, 0, 0, *[0] * 759, 224, 224, 192])
    image.save(folder / "m.png")
    (folder / "t.csv").write_text("image,mask\np.png,m.png\n")
    return Record("p.png", folder, {"image": "p.png", "mask": "m.png"}, "t.csv:2")


@pytest.mark.parametrize("is_indexed", [False, True])
def test_what_is_not_known_is_kept_apart(is_indexed: bool, tmp_path: Path) -> None:
    row = record(tmp_path, VALUES, is_indexed=is_indexed)
    read = PartialMask().read(row)
    assert read is not None
    assert np.array_equal(read, VALUES)
    assert PartialMask().truth_columns(read) == {"foreground.area_px": 72.0}
    with pytest.raises(AnnotationError, match="holds 1 and 255"):
        Mask().read(row)


def test_another_value_beside_0_and_255(tmp_path: Path) -> None:
    values = np.where(VALUES == 255, 128, VALUES * 255).astype(np.uint8)
    read = PartialMask(ignore=128).read(record(tmp_path, values))
    assert read is not None
    assert np.array_equal(read, VALUES)


def test_other_values_are_refused(tmp_path: Path) -> None:
    row = record(tmp_path, np.where(VALUES == 1, 7, VALUES).astype(np.uint8))
    with pytest.raises(AnnotationError, match="holds values up to 7, expected 0, 1 and 255"):
        PartialMask().read(row)
    with pytest.raises(AnnotationError, match="value 7, but there are 2 classes"):
        PartialMask(("a", "b")).read(row)


def test_the_network_frame_keeps_the_values(tmp_path: Path) -> None:
    row = record(tmp_path, VALUES)
    kind = PartialMask()
    annotation = kind.read(row)
    assert annotation is not None
    target = kind.encode(annotation, View(Letterbox.of(VALUES, 64).affine, 64, (20, 30)))
    assert target is not None
    assert set(np.unique(target)) == {0, 1, 255}


def test_check_takes_the_heads_word(tmp_path: Path) -> None:
    record(tmp_path, VALUES)
    experiment = Experiment.model_validate(
        {
            "name": "x",
            "data": Data(root=tmp_path, manifest="t.csv"),
            "backbone": {"name": "resnet18"},
            "heads": {"m": {"type": "segmentation"}},
            "training": {"stages": [{"epochs": 1}]},
        }
    )
    for kind, codes in ((PartialMask(), []), (Mask(), ["mask-values"])):
        kinds: dict[str, Kind] = {"m": kind}
        assert [one.code for one in check_dataset(tmp_path / "t.csv", experiment, kinds).findings] == codes
