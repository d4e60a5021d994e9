from pathlib import Path

import pytest

from dermtl.config.experiment import Data
from dermtl.config.missing import MISSING, is_missing
from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.manifest.read import read_manifest
from dermtl.kinds import Category, Mask, Number, Record, Tags

WORDS = [
    "NA",
    "nan",
    "NaN",
    "None",
    "none",
    "N/A",
    "n/a",
    "NULL",
    "Null",
    "#N/A",
    "-",
    "--",
    "?",
    "<NA>",
    " NA ",
    "#DIV/0!",
]


def table(root: Path, word: str) -> Data:
    rows = ["image,label,age,mask,patient", f"a.jpg,{word},{word},{word},{word}", "b.jpg,naevus,41,b.png,P1"]
    (root / "manifest.csv").write_text("\n".join([*rows, "c.jpg,naevus,0,c.png,P1", ""]))
    return Data(root=root)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_missing_in_every_column(word: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second, _ = read_manifest(table(tmp_path, word))
    assert Category(("naevus",)).read(first) is None
    assert Number(("age",)).read(first) is None
    assert Mask().read(first) is None
    assert [first.cells[column] for column in ("label", "age", "mask", "patient")] == [""] * 4
    assert (second.text("label"), second.number("age"), second.text("patient")) == ("naevus", 41, "P1")
    (warning,) = caplog.messages
    assert f"label {word.strip()!r} 1" in warning
    assert "data.missing" in warning


def test_what_pandas_reads_as_missing_is_missing_here() -> None:
    # pandas.read_csv, na_values; its marks of old Windows compilers (1.#IND and the like) stand in no table of today.
    theirs = ["", "#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
    assert [word for word in theirs if word and not is_missing(word)] == []


def test_the_experiment_says_which_words_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = table(tmp_path, "none").model_copy(update={"missing": ["unknown"]})
    assert read_manifest(data)[0].text("label") == "none"
    assert not caplog.messages
    assert Data().missing == list(MISSING)
    data = table(tmp_path, "Unknown").model_copy(update={"missing": ["unknown"]})
    assert read_manifest(data)[0].text("label") is None


def test_words_inside_a_cell_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text('image,label,note\na.jpg,"NA type",a-b\nb.jpg,nan1,non\n')
    records = read_manifest(Data(root=tmp_path))
    assert [record.cells["label"] for record in records] == ["NA type", "nan1"]


def test_an_unknown_list_of_tags_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("image,tags\na.jpg,NA\nb.jpg,\nc.jpg,ulcer\n")
    read = [Tags(("ulcer",), "tags").read(record) for record in read_manifest(Data(root=tmp_path))]
    assert read[0] is None
    assert [array.tolist() for array in read[1:] if array is not None] == [[0.0], [1.0]]


def test_check_counts_them_once_a_word_and_column(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image,label\na.jpg,NA\nb.jpg,mel\nc.jpg,NA\nd.jpg,nan\n")
    found = [one for one in check_dataset(tmp_path / "m.csv").findings if one.code == "missing-words"]
    assert [(one.row, one.column, one.message[:25]) for one in found] == [
        (2, "label", "'NA' stands in 2 of 4 cel"),
        (5, "label", "'nan' stands in 1 of 4 ce"),
    ]


def test_a_record_of_plain_cells_knows_no_words() -> None:
    assert not Record("a.jpg", Path(), {"label": ""}).is_unknown("label")
