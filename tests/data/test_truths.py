from pathlib import Path

import pytest
from PIL import Image

from dermtl.config.experiment import Data, Split
from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.checks.groups_and_splits import check_sides
from dermtl.data.manifest.preflight import preflight
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import split_records, write_splits
from dermtl.errors import LeakageError, ManifestError
from dermtl.kinds import Category, Kind, Number

KINDS: dict[str, Kind] = {"d": Category(("a", "b"))}


def table(root: Path, rows: list[tuple[str, str]]) -> Data:
    for index in range(len(rows)):
        Image.new("RGB", (20 + index, 20)).save(root / f"{index}.png")
    lines = [f"{index}.png,{label},{split},,{index // 2}" for index, (label, split) in enumerate(rows)]
    (root / "manifest.csv").write_text("\n".join(["image,label,split,age,pair", *lines, ""]))
    return Data(root=root, split=Split(column="split"), copies=False, group=[])


def checked(data: Data, kinds: dict[str, Kind] = KINDS) -> None:
    preflight(split_records(read_manifest(data), data), kinds)


SOUND = [("a", "train"), ("b", "train"), ("a", "val"), ("b", "val"), ("a", "test"), ("b", "test")]


@pytest.mark.parametrize("side", ["train", "val", "test"])
@pytest.mark.parametrize("word", ["", "NA"])
def test_a_side_without_truths_is_refused(side: str, word: str, tmp_path: Path) -> None:
    rows = [(word if split == side else label, split) for label, split in SOUND]
    with pytest.raises(
        ManifestError, match=f"manifest.csv: split {side}: none of its 2 records has a truth for head d"
    ):
        checked(table(tmp_path, rows))


def test_a_head_without_truths_beside_others_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checked(table(tmp_path, SOUND))
    assert not caplog.messages
    checked(table(tmp_path, SOUND), {**KINDS, "age": Number(("age",))})
    assert [message for message in caplog.messages if "head age" in message][2].startswith("split test: none of its 2")


def test_one_class_in_a_side_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checked(table(tmp_path, [*SOUND[:4], ("b", "testing"), ("b", "testing")]))
    assert caplog.messages == [
        "split test: all records with a truth for d are b; ranking and specificity have no value there"
    ]


def test_check_tells_of_one_class_where_a_head_learns_it(tmp_path: Path) -> None:
    records = read_manifest(table(tmp_path, [("a", "train"), ("a", "training"), ("a", "val"), ("a", "test")]))
    (finding,) = check_sides(records, "split", ["label"], is_declared=True)
    assert (finding.code, finding.row, finding.column) == ("split-one-class", 2, "label")
    (finding,) = check_sides(records, "split", ["label"], is_declared=False)
    assert (finding.code, finding.severity, finding.row) == ("one-class", "warning", 2)


def test_check_tells_of_one_class_in_a_table_without_a_split(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    for index in range(3):
        Image.effect_noise((32, 32), 50).save(tmp_path / f"{index}.png")
    path.write_text("image,label\n0.png,a\n1.png,a\n2.png,\n")
    assert [(finding.code, finding.message) for finding in check_dataset(path).findings] == [
        ("one-class", "all pictures are 'a'")
    ]


def test_a_file_of_splits_says_who_is_where(tmp_path: Path) -> None:
    data = table(tmp_path, SOUND)
    wanted = split_records(read_manifest(data), data)
    write_splits(tmp_path / "out", wanted)
    given = data.model_copy(update={"split": Split(file=tmp_path / "out" / "splits.csv")})
    assert [record.split for record in split_records(read_manifest(given), given)] == [split for _, split in SOUND]
    grouped = given.model_copy(update={"group": ["label"]})
    with pytest.raises(LeakageError, match="group 'label=a'"):
        split_records(read_manifest(grouped), grouped)
    (tmp_path / "out" / "splits.csv").write_text("image,group,split\n0.png,0.png,train\n")
    with pytest.raises(ManifestError, match=r"'1.png' is not in"):
        split_records(read_manifest(given), given)


def test_a_file_goes_with_no_column_and_no_folds() -> None:
    for other in ({"column": "split"}, {"folds": 5}):
        with pytest.raises(ValueError, match="give column, file or folds"):
            Split(file=Path("splits.csv"), **other)  # type: ignore[arg-type]
