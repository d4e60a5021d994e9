import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.errors import DataError, InputError
from dermtl.kinds import Category, Circle
from dermtl.runtime.decision import Decision, Decisions
from dermtl.runtime.outputs.row_formats import Csv, JsonLines
from dermtl.runtime.outputs.rows import open_rows
from dermtl.runtime.predict_rows import Row
from dermtl.runtime.prediction import Prediction

KINDS = {"diagnosis.probability": Category(("mel", "nv")), "extent.circle": Circle()}
GOOD = Prediction(
    (4, 6),
    {
        "diagnosis.probability": np.array([0.1, 0.9], np.float32),
        "extent.circle": np.array([-1.5, 2, 3e-7], np.float32),
    },
    KINDS,
)
ROWS = [Row(Path("a/ä.jpg"), GOOD), Row(Path("b.jpg"), error="b.jpg: is damaged, or so")]


def fill(path, rows=ROWS, **options):
    with open_rows(path, KINDS, model="m", **options) as output:
        for row in rows:
            if not output.holds(row.path):
                output.write(output.format.line(row))


def test_json_lines(tmp_path):
    path = tmp_path / "new" / "rows.jsonl"
    fill(path)
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first["image"] == "a/ä.jpg"
    assert (first["width"], first["height"]) == (6, 4)
    assert first["diagnosis"]["label"] == "nv"
    assert first["extent"]["circle"]["cx"] == -1.5
    assert second == {"image": "b.jpg", "error": "b.jpg: is damaged, or so"}


def test_csv_numbers_read_back_exactly_and_keep_their_sign(tmp_path):
    path = tmp_path / "rows.csv"
    fill(path)
    with path.open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["image", "width", "height", "error", *GOOD.columns()]
    assert {name: float(first[name]) for name in GOOD.columns()} == GOOD.columns()
    assert first["extent.circle.cx"] == "-1.5"
    assert second["error"] == "b.jpg: is damaged, or so"
    assert second["width"] == second["diagnosis.probability.mel"] == ""


def is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), max_size=5))
def test_no_text_cell_can_be_a_formula(texts):
    lines = Csv(KINDS)
    written = [lines.line(Row(Path(image), error=error)) for image, error in texts]
    assert [lines.read(line) for line in written] == [(lines.image(Path(image)), True) for image, _ in texts]
    text = lines.header + "".join(written)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(texts) == text.count("\n") - 1
    for row, (_, error) in zip(rows, texts, strict=True):
        for cell in (row["image"], row["error"]):
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or is_number(cell)
        plain = error.replace("\r", "\\r").replace("\n", "\\n")
        assert row["error"] in (plain, f"'{plain}")


def test_every_line_is_there_as_soon_as_it_is_written(tmp_path):
    for name in ("rows.jsonl", "rows.csv"):
        path = tmp_path / name
        with open_rows(path, KINDS, model="m") as output:
            before = path.read_bytes().count(b"\n")
            for number, row in enumerate(ROWS, 1):
                output.write(output.format.line(row))
                assert path.read_bytes().count(b"\n") == before + number
                assert path.read_bytes().endswith(b"\n")


def test_a_file_name_that_is_not_utf_8_is_escaped(tmp_path):
    odd = Row(Path("bad\udcff.jpg"), error="no")
    fill(tmp_path / "rows.jsonl", [odd])
    assert json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8"))["image"] == "bad\udcff.jpg"
    fill(tmp_path / "rows.csv", [odd])
    assert "bad\\udcff.jpg" in (tmp_path / "rows.csv").read_text(encoding="utf-8")


def test_an_existing_file_stays_unless_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("precious")
    for resume in (False, True):
        with pytest.raises((InputError, DataError), match="--overwrite"):
            fill(path, resume=resume)
        assert path.read_text() == "precious"
    fill(path, ROWS[1:], overwrite=True)
    assert json.loads(path.read_text())["image"] == "b.jpg"


@pytest.mark.parametrize("name", ["rows.json", "rows", "rows.xlsx"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"\.jsonl, \.csv, \.parquet"):
        fill(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_head_that_is_called_like_a_key_is_refused():
    with pytest.raises(InputError, match="'width'"):
        JsonLines({"width.circle": Circle()})


def test_a_decision_is_a_column(tmp_path):
    asked = Decision("diagnosis", "diagnosis.probability", "mel", ("mel",), 0.5)
    decisions = Decisions(binary=(asked,))
    lines = Csv(KINDS, decisions)
    prediction = Prediction(GOOD.image_hw, GOOD.values, KINDS, decisions)
    (row,) = csv.DictReader(io.StringIO(lines.header + lines.line(Row(Path("a.jpg"), prediction))))
    assert row["diagnosis.decision.mel"] == "0.0"
