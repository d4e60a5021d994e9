"""A whole explanation: what is scanned, laid out and written, and that nothing tells who is shown."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from dermtl.errors import ConfigError
from dermtl.explain.embedding import embed
from dermtl.explain.explain import explain_pictures, explain_split
from dermtl.explain.heat import crop, overlay, picture_mask
from dermtl.explain.page import write_explanation
from dermtl.explain.scan import scan
from dermtl.explain.score import choose_head
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Record

FAST = ["input_gradient"]


@pytest.fixture(scope="module")
def records(loaded):
    from dermtl.data.manifest.read import read_manifest

    return read_manifest(loaded.experiment.data)


def test_a_scan_says_what_the_predictor_says(loaded, records):
    from dermtl.imaging.decode import read_image
    from dermtl.model.predictor import NetworkPredictor

    found = scan(loaded, choose_head(loaded.plans), records[:5])
    predictor = NetworkPredictor(loaded.network, loaded.kinds, 64)
    values = predictor.predict_values([read_image(record.path) for record in records[:5]])
    expected = np.stack([value["diagnosis.probability"] for value in values])
    np.testing.assert_allclose(found.probability, expected, atol=1e-5)
    assert found.pooled.shape == (5, loaded.network.backbone.features.num_pooled)
    truth = [found.names.index(next(n for n in found.names if n.startswith(path(record)))) for record in records[:5]]
    np.testing.assert_allclose(found.losses, -np.log(expected[np.arange(5), truth]), rtol=1e-4)
    assert found.is_error.tolist() == [bool(row.argmax() != t) for row, t in zip(expected, truth, strict=True)]


def path(record):
    label = record.cells["label"]
    return "malignant" if label == "melanoma" else f"benign/{label}"


def test_tags_are_scanned_too(loaded, records):
    found = scan(loaded, choose_head(loaded.plans, "any"), [*records[:4], records[0]])
    right = np.where(found.truth, found.probability, 1 - found.probability)
    np.testing.assert_allclose(found.losses, -np.log(right).sum(axis=1), rtol=1e-4)
    assert found.decided.tolist() == (found.probability >= 0.5).tolist()


def test_a_plane_keeps_neighbours_together():
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(3, 20)) * 30, 15, axis=0)
    plane = embed(rng.normal(size=(45, 20)) + centres)
    assert plane.shape == (45, 2)
    assert (plane.min(), plane.max()) == (0, 1)
    distance = np.linalg.norm(plane[:, None] - plane[None], axis=2) + np.eye(45) * 9
    assert (distance.argmin(axis=1) // 15 == np.arange(45) // 15).all()
    again = embed(np.random.default_rng(0).normal(size=(12, 4)))
    np.testing.assert_array_equal(again, embed(np.random.default_rng(0).normal(size=(12, 4))))


@pytest.mark.parametrize("hw", [(300, 400), (400, 300), (64, 64), (1, 2000), (37, 91)])
def test_the_picture_is_cut_out_of_its_padding(hw):
    picture = np.full((*hw, 3), 200, np.uint8)
    letterbox = Letterbox(hw, 64)
    cut = crop(letterbox.apply(picture), letterbox)
    assert max(cut.shape[:2]) == 64
    assert cut.shape[0] / cut.shape[1] == pytest.approx(hw[0] / hw[1], rel=0.1, abs=0.02)
    assert picture_mask(letterbox).sum() == cut.shape[0] * cut.shape[1]
    if min(cut.shape[:2]) > 8:
        assert (cut[1:-1, 1:-1] > 150).all()


def test_heat_colours_what_it_lies_on():
    heat = np.zeros((32, 64))
    heat[8:16, 8:16] = 1
    drawn = np.asarray(overlay(np.full((32, 64, 3), 120, np.uint8), heat)).astype(int)
    assert drawn.shape == (224, 448, 3)
    assert np.ptp(drawn[200, 400]) == 0
    assert np.ptp(drawn[84, 84]) > 50
    assert np.ptp(np.asarray(overlay(np.full((8, 8, 3), 120, np.uint8), np.zeros((8, 8))))) == 0


@pytest.fixture(scope="module")
def page(loaded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    found = explain_split(loaded, FAST, split="train", num_cases=4)
    return found, write_explanation(folder, found)


def test_the_page_shows_the_worst_first_and_names_nobody(page, records):
    found, file = page
    text = file.read_text()
    assert [case.loss for case in found.cases] == sorted((case.loss for case in found.cases), reverse=True)
    assert found.cases[0].loss == pytest.approx(found.scan.losses.max())
    with (file.parent / "cases.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["case"] for row in rows] == ["case-01", "case-02", "case-03", "case-04"]
    assert [row["image"] for row in rows] == [found.scan.records[index].image for index in found.worst]
    for record in records:
        assert record.image not in text
        assert record.path.stem not in re.sub(r"base64,[^\"]+", "", text)
    names = {path.name for path in file.parent.iterdir()}
    assert {"case-01.picture.png", "case-04.input_gradient.png", "map.csv"} <= names


def test_the_page_needs_nothing_else(page):
    text = page[1].read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    for anchor in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{anchor}"' in text


def test_errors_on_the_map_lead_to_their_cases(page):
    found, file = page
    wrong = [case.name for index, case in zip(found.worst, found.cases, strict=True) if found.scan.is_error[index]]
    assert wrong
    for name in wrong:
        assert f'href="#{name}"' in file.read_text()
    assert file.read_text().count("<circle") == len(found.scan.records)


def test_text_cannot_break_out_of_the_page(loaded, tmp_path, drawn):
    name = "<img src=x onerror=alert(1)>"
    source = next(iter(sorted((drawn / "images").iterdir())))
    found = explain_pictures(loaded, [source], FAST)
    hostile = [type(found.cases[0])(**{**vars(found.cases[0]), "truth": name, "explained": name, "loss": 1.0})]
    text = write_explanation(tmp_path, type(found)(**{**vars(found), "cases": hostile, "head": name})).read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_pictures_of_any_origin(loaded, tmp_path):
    Image.new("RGB", (90, 40), (180, 120, 100)).save(tmp_path / "Anna_Smith.jpg")
    found = explain_pictures(loaded, [tmp_path / "Anna_Smith.jpg"], FAST, of="benign")
    (case,) = found.cases
    assert (case.explained, case.truth, case.loss) == ("benign", "", None)
    assert case.picture.shape == (28, 64, 3)
    assert case.maps["input_gradient"].shape == (28, 64)
    file = write_explanation(tmp_path / "out", found)
    assert "Anna" not in file.read_text()
    assert "Anna" in (file.parent / "cases.csv").read_text()
    with pytest.raises(ConfigError, match="has no 'melanom'"):
        explain_pictures(loaded, [tmp_path / "Anna_Smith.jpg"], FAST, of="melanom")


def test_records_without_truth_are_left_out(loaded, drawn):
    rows = [Record("x.png", drawn, {"label": "", "image": "x.png"})]
    assert scan(loaded, choose_head(loaded.plans), rows).pooled.shape[0] == 0
