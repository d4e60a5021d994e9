"""From a folder or a table to an experiment that the core accepts."""

import csv
import shutil
from pathlib import Path

import pytest

from dermtl.config.experiment import Experiment
from dermtl.config.load import validate
from dermtl.config.source import parse_source
from dermtl.data.importers.named import Columns
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import split_records
from dermtl.errors import DataError
from dermtl.plugins.plan import plan_heads
from dermtl.starter.heads import suggest_heads
from dermtl.starter.manifest import find_manifest, read_cells
from dermtl.starter.start import experiment_name, start_experiment


def planned(text: str) -> dict[str, str]:
    """Heads of an experiment's text as the core understands them, to their plugins."""
    source = parse_source(text, name="experiment.yaml")
    plans = plan_heads(validate(Experiment, source.data, source), source)
    return {name: plan.metadata()["type"] for name, plan in plans.items()}


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        ({"image": "abcd", "label": ["a", "b", "a", "b"]}, {"label": "classification"}),
        ({"image": "abcd", "label": ["a", "b", "c", "d"]}, {}),  # names, not classes
        ({"image": "abcd", "label": ["a", "a"]}, {}),
        ({"image": "abcd", "mask": ["m.png"]}, {"outline": "segmentation"}),
        ({"image": "abcd", "mask": []}, {}),
        ({"image": "ab", "cx": ["1"], "cy": ["2"], "r": ["3"]}, {"circle": "circle"}),
        ({"image": "ab", "cx": ["1"], "cy": ["2"]}, {}),
        ({"image": "abcd", "cyst": ["0", "1"], "mass": ["1", "0"]}, {"findings": "tags"}),
        ({"image": "abcd", "sex": ["0", "1"], "age": ["40", "50"]}, {}),  # one column of 0 and 1 is no set of findings
    ],
)
def test_heads_are_those_that_the_columns_can_train(columns, heads):
    assert {name: keys["type"] for name, keys in suggest_heads(columns).items()} == heads


def test_a_drawn_set_gives_an_experiment_with_three_heads(drawn):
    text = start_experiment(drawn, Columns())
    assert planned(text) == {"label": "classification", "outline": "segmentation", "circle": "circle"}
    with (drawn / "manifest.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert ", ".join(f"{label} {labels.count(label)}" for label in sorted(set(labels))) in text


def test_backbone_weights_and_odd_names_stand_in_the_file(drawn, tmp_path):
    folder = tmp_path / "Photos: März #2"
    shutil.copytree(drawn, folder)
    text = start_experiment(folder, Columns(), backbone="resnet18", weights=Path("a: b.safetensors"))
    source = parse_source(text, name="experiment.yaml")
    experiment = validate(Experiment, source.data, source)
    assert (experiment.data.root, experiment.name) == (folder, "photos_marz_2")
    assert (experiment.backbone.name, experiment.backbone.pretrained) == ("resnet18", Path("a: b.safetensors"))


def test_small_pictures_are_trained_at_their_own_size(tmp_path):
    from PIL import Image

    for number in range(8):
        folder = tmp_path / "small" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 40), (number, 0, 0)).save(folder / f"{number}.png")
    source = parse_source(start_experiment(tmp_path / "small", Columns()), name="x")
    assert validate(Experiment, source.data, source).backbone.image_size == 96  # 90 to the nearest multiple of 32


def test_columns_of_a_clinic_are_named_by_the_user(drawn, tmp_path):
    folder = tmp_path / "clinic"
    shutil.copytree(drawn / "images", folder / "Photos 2023")
    with (drawn / "manifest.csv").open(newline="") as file:
        rows = [(Path(row["image"]).name, row["label"], row["patient_id"]) for row in csv.DictReader(file)]
    lines = ["Datei;Befund;Patient", *(";".join(row) for row in rows)]
    (folder / "Liste.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    with pytest.raises(DataError, match=r"Liste\.csv is not read"):
        find_manifest(folder, Columns())
    columns = read_cells(find_manifest(folder, Columns(label="Befund"))[0])
    assert columns["label"] == [label for _, label, _ in rows]
    assert columns["group"] == [patient for _, _, patient in rows]  # a column called Patient groups


def test_a_table_that_is_a_manifest_is_taken_as_it_is(drawn):
    before = (drawn / "manifest.csv").read_bytes()
    assert find_manifest(drawn, Columns())[0] == drawn / "manifest.csv"
    assert find_manifest(drawn / "manifest.csv", Columns())[0] == drawn / "manifest.csv"
    assert (drawn / "manifest.csv").read_bytes() == before


@pytest.mark.parametrize("named", [Columns(), Columns(label="Diagnosis"), Columns(label="Diagnosis", group="sex")])
def test_a_class_of_another_name_is_learned_from_the_users_own_table(drawn, tmp_path, named):
    """Also if nobody names it: training without the diagnosis would be wrong without a word."""
    folder = tmp_path / "clinic"
    shutil.copytree(drawn, folder)
    text = (folder / "manifest.csv").read_text().replace("label", "Diagnosis", 1)
    (folder / "manifest.csv").write_text(text)
    written = start_experiment(folder, named)
    assert (folder / "manifest.csv").read_text() == text
    source = parse_source(written, name="experiment.yaml")
    experiment = validate(Experiment, source.data, source)
    assert source.data["heads"]["label"] == {"type": "classification", "column": "Diagnosis"}
    assert experiment.data.group == (["sex"] if named.group else None)
    unlearned = written.splitlines()[-1]
    assert unlearned.startswith("# No head learns the columns")
    assert set(unlearned.removesuffix(".").split("columns ")[1].split(", ")) == (
        {"patient_id", "lesion_id", "diameter_mm", "age", "sex"} - {named.group}
    )


@pytest.mark.parametrize(
    ("sides", "is_kept"), [("Train,dev,test", True), ("train,test", False), ("train,,test", False)]
)
def test_a_split_that_the_table_brings_is_kept(drawn, tmp_path, sides, is_kept):
    """Dealt anew, pictures of a published test set would be trained on."""
    (tmp_path / "images").symlink_to(drawn / "images")
    with (drawn / "manifest.csv").open(newline="") as file:
        rows = [(row["image"], row["label"]) for row in csv.DictReader(file)]
    words = sides.split(",")
    lines = [f"{image},{label},{words[index % len(words)]}\n" for index, (image, label) in enumerate(rows)]
    (tmp_path / "manifest.csv").write_text("image,label,split\n" + "".join(lines))
    written = start_experiment(tmp_path, Columns())
    source = parse_source(written, name="experiment.yaml")
    data = validate(Experiment, source.data, source).data
    assert data.split.column == ("split" if is_kept else None)
    assert ("# No head learns" in written) != is_kept
    if is_kept:
        placed = split_records(read_manifest(data), data)
        expected = {image: words[index % len(words)] for index, (image, _) in enumerate(rows)}
        assert all(
            record.split == {"Train": "train", "dev": "val"}.get(expected[record.image], "test") for record in placed
        )


def test_a_named_column_that_is_not_there_is_refused_with_those_that_are(drawn):
    with pytest.raises(DataError, match="no column 'dx'") as caught:
        start_experiment(drawn, Columns(label="dx"))
    assert "label, mask" in caught.value.hint


def test_what_nothing_can_be_trained_on_is_refused(drawn, tmp_path):
    shutil.copytree(drawn / "images", tmp_path / "images")
    (tmp_path / "t.csv").write_text("image,age\n" + "".join(f"images/{number:05}.jpg,40\n" for number in range(4)))
    with pytest.raises(DataError, match="no installed head can be trained on its columns: image, age"):
        start_experiment(tmp_path / "t.csv", Columns())
    with pytest.raises(DataError, match="no such file or folder"):
        start_experiment(tmp_path / "nothing", Columns())


@pytest.mark.parametrize(
    ("folder", "name"),
    [("a b.csv", "a_b_csv"), ("2023 Übersicht", "set_2023_ubersicht"), ("写真", "set"), ("busi", "busi")],
)
def test_the_name_is_that_of_the_folder(tmp_path, folder, name):
    assert experiment_name(tmp_path / folder) == name


def test_a_table_gives_its_name_without_the_suffix(tmp_path):
    (tmp_path / "a b.csv").write_text("")
    assert experiment_name(tmp_path / "a b.csv") == "a_b"
