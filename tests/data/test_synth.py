from pathlib import Path

import numpy as np
import pytest

from dermtl.config.experiment import Data
from dermtl.data.manifest.groups import group_records
from dermtl.data.manifest.read import read_manifest
from dermtl.data.synthetic.case import CLASSES
from dermtl.data.synthetic.dataset import synthesise
from dermtl.imaging.decode import read_image, read_mask
from dermtl.kinds import Circle, Mask
from dermtl.kinds.circle import equal_area_circle


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*g")}


def test_same_seed_same_bytes_and_each_picture_for_itself(tmp_path: Path, drawn: Path) -> None:
    synthesise(tmp_path / "few", num=5)
    synthesise(tmp_path / "other", num=2, seed=1)
    few, all_, other = (content(folder) for folder in (tmp_path / "few", drawn, tmp_path / "other"))
    assert len(few) == 10
    assert few.items() <= all_.items()
    assert other["images/00000.jpg"] != few["images/00000.jpg"]
    rows = (drawn / "manifest.csv").read_text().splitlines()
    assert (tmp_path / "few" / "manifest.csv").read_text().splitlines() == rows[:6]


def test_truth_agrees_with_the_pixels(drawn: Path) -> None:
    for record in read_manifest(Data(root=drawn)):
        mask = read_mask(record.root / record.cells["mask"])
        assert mask.shape == record.size_hw
        assert set(np.unique(mask)) == {0, 255}
        circle = Circle().read(record)
        assert circle == pytest.approx(equal_area_circle(mask), abs=0.006)
        image = read_image(record.path).astype(float)
        outline = Mask().read(record)
        assert outline is not None
        assert image[outline == 1].mean() < image[outline == 0].mean() or (image[outline == 0] < 30).mean() > 0.05
        height, width = record.size_hw
        assert 150 <= height <= 280
        assert 180 <= width <= 320
        diameter = record.number("diameter_mm")
        assert diameter is None or 1 < diameter < 17


def test_the_set_has_what_a_first_experiment_needs(tmp_path: Path) -> None:
    records = read_manifest(Data(root=synthesise(tmp_path, num=48).parent))
    labels = [record.cells["label"] for record in records]
    assert set(labels) == set(CLASSES)
    assert min(labels.count(label) for label in CLASSES) > 5
    assert 12 < len(set(group_records(records))) < 36
    assert len({r.cells["lesion_id"] for r in records}) > len({r.cells["patient_id"] for r in records})
    assert 0 < sum(record.number("age") is None for record in records) < 20
    assert len({record.size_hw for record in records}) > 40
