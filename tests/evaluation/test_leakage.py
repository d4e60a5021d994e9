"""Another table is refused where it holds what the model was trained on."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps

from dermtl.cli.evaluate import evaluate
from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.data.synthetic.dataset import synthesise
from dermtl.errors import ImageReadError, LeakageError
from dermtl.evaluation.audit.leakage import Trained, find_leaks, trained_on
from dermtl.files.table import read_table, write_table
from dermtl.kinds import Record


def run(*arguments: object) -> str:
    """The command's output; what it raises is raised."""
    result = CliRunner().invoke(evaluate, ["--resamples", "20", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def leakage(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text())["data"]["leakage"]


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Folder of six other pictures of other people."""
    return synthesise(tmp_path / "clinic", num=6, seed=9).parent


def table(folder: Path, extra: Sequence[Mapping[str, str]] = ()) -> Path:
    """The clinic's table, its ids made its own, with rows added."""
    rows = [dict(cells) for _, cells in read_table(folder / "manifest.csv")]
    for row in rows:
        row |= {column: f"clinic-{row[column]}" for column in ("patient_id", "lesion_id")}
    rows += [{**rows[0], **row} for row in extra]
    write_table(folder / "labels.csv", list(rows[0]), [list(row.values()) for row in rows])
    return folder / "labels.csv"


def trained_picture(scored_run: Path, split: str) -> str:
    return next(cells["image"] for _, cells in read_table(scored_run / "splits.csv") if cells["split"] == split)


def plant(clinic: Path, source: Path) -> Path:
    """The clinic's table with a mirrored, smaller, re-encoded copy of a picture, under a name of its own."""
    image = ImageOps.mirror(Image.open(source).convert("RGB"))
    image.resize((image.width // 2, image.height // 2)).save(clinic / "images/planted.jpg", quality=60)
    row = {"image": "images/planted.jpg", "mask": "", "cx": "", "cy": "", "r": ""}
    return table(clinic, [{**row, "patient_id": "new", "lesion_id": "new"}])


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_copy_is_refused_by_name_unless_allowed(scored_run: Path, drawn: Path, clinic: Path, split: str) -> None:
    name = trained_picture(scored_run, split)
    manifest = plant(clinic, drawn / name)
    out = clinic / "out"
    asked = (scored_run, "--manifest", manifest, "--split", "all", "--out", out)
    with pytest.raises(LeakageError, match=rf"{name} \({split}\) and images/planted\.jpg show the same") as caught:
        run(*asked)
    assert "labels.csv:8" in str(caught.value)
    assert "--allow-leakage" in caught.value.hint
    assert not out.exists()
    run(*asked, "--allow-leakage")
    found = leakage(out)
    assert (found["copies"], found["shared_ids"], found["allowed"], found["checked"]) == (1, 0, True, True)
    pairs = [dict(cells) for _, cells in read_table(out / "leakage_pairs.csv")]
    assert [(pair["image_a"], pair["image_b"], pair["reason"]) for pair in pairs] == [
        (name, "images/planted.jpg", "copy")
    ]
    assert "trained on</strong>" in (out / "report.html").read_text()


def test_copies_of_test_pictures_and_other_pictures_pass(scored_run: Path, drawn: Path, clinic: Path) -> None:
    manifest = plant(clinic, drawn / trained_picture(scored_run, "test"))
    run(scored_run, "--manifest", manifest, "--split", "all", "--out", clinic / "out")
    found = leakage(clinic / "out")
    assert (found["checked"], found["allowed"], found["copies"], found["why"]) == (True, False, 0, "")
    assert found["compared"] == found["trained_on"] > 10
    assert not (clinic / "out" / "leakage_pairs.csv").exists()
    assert "None of these pictures was trained on" in (clinic / "out" / "report.html").read_text()


def test_only_the_pictures_that_are_tried_count(scored_run: Path, drawn: Path, clinic: Path) -> None:
    manifest = plant(clinic, drawn / trained_picture(scored_run, "train"))
    rows = [dict(cells) for _, cells in read_table(manifest)]
    rows = [row | {"split": "val" if "planted" in row["image"] else "test"} for row in rows]
    write_table(manifest, list(rows[0]), [list(row.values()) for row in rows])
    run(scored_run, "--manifest", manifest, "--split", "test", "--out", clinic / "out")
    with pytest.raises(LeakageError):
        run(scored_run, "--manifest", manifest, "--split", "val")


def test_the_own_split_is_not_compared_again(scored_run: Path) -> None:
    run(scored_run, "--split", "train")
    assert "leakage" not in json.loads((scored_run / "evaluation/train/metrics.json").read_text())["data"]


@pytest.mark.slow
def test_an_exported_model_in_its_run_is_compared(exported: Path, drawn: Path, clinic: Path) -> None:
    manifest = plant(clinic, drawn / trained_picture(exported.parent, "train"))
    with pytest.raises(LeakageError, match="planted"):
        run(exported, "--manifest", manifest, "--split", "all", "--out", clinic / "out")


@pytest.fixture
def trained(scored_run: Path, drawn: Path) -> Trained:
    return trained_on(Data(root=drawn), scored_run / "splits.csv")


def others(manifest: Path) -> list[Record]:
    return read_manifest(Data(root=manifest.parent, manifest=manifest.name))


def test_equal_files_and_shared_ids_are_told(trained: Trained, clinic: Path) -> None:
    one = trained.records[0]
    shutil.copy(one.path, clinic / "images/same.jpg")
    ids = {"patient_id": one.cells["patient_id"], "lesion_id": ""}
    audit = find_leaks(trained, others(table(clinic, [{"image": "images/same.jpg", **ids}])))
    assert [leak.reason for leak in audit.leaks] == ["equal file", f"patient_id={one.cells['patient_id']}"]
    with pytest.raises(LeakageError, match=rf"have patient_id={one.cells['patient_id']}"):
        audit.refuse()


def test_a_column_that_looks_like_people_is_compared(scored_run: Path, drawn: Path, tmp_path: Path) -> None:
    """The training grouped by ``patient`` without being told to; a later table with one of these people is refused."""
    rows = [dict(cells) for _, cells in read_table(drawn / "manifest.csv")]
    renamed = [{"patient" if name == "patient_id" else name: value for name, value in row.items()} for row in rows]
    renamed = [{name: value for name, value in row.items() if name != "lesion_id"} for row in renamed]
    shutil.copytree(drawn, tmp_path / "data")
    write_table(tmp_path / "data/manifest.csv", list(renamed[0]), [list(row.values()) for row in renamed])
    found = trained_on(Data(root=tmp_path / "data"), scored_run / "splits.csv")
    assert not found.unknown
    assert list(found.columns) == ["patient"]


def test_empty_ids_are_not_shared(trained: Trained, clinic: Path) -> None:
    records = others(clinic / "manifest.csv")
    blank = [Record(r.image, r.root, {**r.cells, "patient_id": " ", "lesion_id": ""}, r.where) for r in records]
    assert not find_leaks(trained, blank).leaks
    assert {leak.reason.partition("=")[0] for leak in find_leaks(trained, records).leaks} == {"patient_id", "lesion_id"}


def test_what_is_gone_is_said_and_the_rest_compared(
    scored_run: Path, drawn: Path, clinic: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = clinic / "moved"
    shutil.copytree(drawn, moved)
    first, *_, last = trained_on(Data(root=moved), scored_run / "splits.csv").records
    first.path.unlink()
    last.path.write_bytes(b"no picture")
    partly = trained_on(Data(root=moved), scored_run / "splits.csv")
    planted = others(plant(clinic, partly.records[1].path))
    audit = find_leaks(partly, planted)
    assert [leak.tested.image for leak in audit.leaks] == ["images/planted.jpg"]
    found = audit.to_json()
    assert (found["checked"], found["trained_on"] - found["compared"]) == (False, 2)
    assert "2 of" in found["why"]
    assert first.image in found["why"]
    assert "not fully checked" in caplog.text
    shutil.rmtree(moved / "images")
    assert find_leaks(partly, planted).num_compared == 0
    (moved / "manifest.csv").unlink()
    audit = find_leaks(trained_on(Data(root=moved), scored_run / "splits.csv"), planted)
    assert "table of the training cannot be read" in audit.to_json()["why"]
    audit.refuse()


def test_a_picture_that_cannot_be_read_names_its_row(trained: Trained, clinic: Path) -> None:
    manifest = table(clinic)
    (clinic / "images/00002.jpg").unlink()
    with pytest.raises(ImageReadError, match=r"labels\.csv:4"):
        find_leaks(trained, others(manifest))
