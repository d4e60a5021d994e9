import csv
from pathlib import Path

import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.manifest.preflight import preflight
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import AnnotationError, ImageReadError
from dermtl.kinds import Category, Circle, Kind, Mask, Number

KINDS: dict[str, Kind] = {
    "diagnosis": Category(("nevus", "melanoma", "keratosis")),
    "extent": Circle(),
    "outline": Mask(),
    "size": Number(("diameter_mm",), ("mm",)),
}


@pytest.fixture
def copy(tmp_path: Path, drawn: Path) -> Path:
    """Six records whose files may be spoilt."""
    with (drawn / "manifest.csv").open() as file:
        lines = file.read().splitlines()[:7]
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    for row in csv.DictReader(lines):
        for path in (row["image"], row["mask"]):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes((drawn / path).read_bytes())
    return tmp_path


def test_a_sound_set_passes(drawn: Path, caplog: pytest.LogCaptureFixture) -> None:
    preflight(read_manifest(Data(root=drawn)), KINDS)
    preflight([], KINDS)
    assert not caplog.records


def test_the_first_fault_names_its_row_and_the_others_are_counted(copy: Path) -> None:
    (copy / "images" / "00002.jpg").unlink()
    (copy / "images" / "00004.jpg").write_bytes(b"not a picture")
    Image.new("L", (9, 9)).save(copy / "masks" / "00005.png")
    records = read_manifest(Data(root=copy))
    with pytest.raises(ImageReadError) as caught:
        preflight(records, KINDS)
    for word in ("manifest.csv:4", "00002.jpg", "no such file", "and 2 more"):
        assert word in str(caught.value)
    with pytest.raises(AnnotationError, match=r"manifest\.csv:7: mask masks/00005\.png has 9x9 pixels"):
        preflight(records[5:], KINDS)
    preflight(records[:2], KINDS)


def test_a_damaged_mask_names_its_row(copy: Path) -> None:
    path = copy / "masks" / "00001.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageReadError, match=r"manifest\.csv:3: .*00001\.png: is damaged"):
        preflight(read_manifest(Data(root=copy)), KINDS)


def test_a_wrong_cell_names_its_row(drawn: Path) -> None:
    with pytest.raises(AnnotationError, match=r"manifest\.csv:\d+: column 'label': unknown class.*and \d+ more"):
        preflight(read_manifest(Data(root=drawn)), {"diagnosis": Category(("nevus",))})


@pytest.mark.parametrize("name", ["ph2", "idrid_codras", "bccd", "isic_uda1"])
def test_real_sets_pass(shared: Path, name: str) -> None:
    records = read_manifest(Data(root=shared / "data" / name, manifest="labels.csv"))
    labels = tuple(sorted({record.cells["label"] for record in records}))
    kinds: dict[str, Kind] = {"diagnosis": Category(labels)}
    if "cx" in records[0].cells:
        kinds["extent"] = Circle()
    if "mask" in records[0].cells:
        kinds["outline"] = Mask()
    preflight(records, kinds)
