"""A file of predictions that was cut off anywhere is gone on with: no row is lost, none comes twice."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.errors import DataError, InputError
from dermtl.kinds import Category, Circle
from dermtl.runtime.folder import Row
from dermtl.runtime.output import open_output
from dermtl.runtime.prediction import Prediction

KINDS = {"diagnosis.probability": Category(("mel", "nv")), "extent.circle": Circle()}
VALUES = {"diagnosis.probability": np.array([0.1, 0.9]), "extent.circle": np.array([1.5, 2, 3])}
GOOD = Prediction((4, 6), VALUES, KINDS)
ROWS = [
    *(Row(Path(name), GOOD) for name in ("f/a.jpg", "ä.jpg", "=b.jpg", 'c",.jpg')),
    *(Row(Path(name), error="damaged\n") for name in ("bad\udcff.jpg", "=2.jpg")),
    Row(Path("z.jpg"), GOOD),
]
NAMES = ("rows.jsonl", "rows.csv", "rows.parquet")


def fill(path, rows=ROWS, *, model="m", stop_after=None, **options):
    """Write the rows that are missing, as the command does; perhaps be stopped on the way."""
    with open_output(path, KINDS, model=model, **options) as output:
        missing = [row for row in rows if not output.holds(row.path)]
        for row in missing[:stop_after]:
            output.write(output.lines.line(row))
        if stop_after is not None:
            raise KeyboardInterrupt
    return len(missing)


def stopped(path, after):
    with pytest.raises(KeyboardInterrupt):
        fill(path, stop_after=after)


def growing(path):
    """The file that lines are added to."""
    return path if path.suffix != ".parquet" else path.with_name(f"{path.name}.rows.csv")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("whole")
    for name in NAMES:
        fill(folder / name)
    return folder


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(after=st.integers(0, len(ROWS)), share=st.floats(0, 1))
def test_cut_anywhere_and_resumed_it_is_the_file_that_was_never_cut(whole, tmp_path_factory, name, after, share):
    path = tmp_path_factory.mktemp("cut") / name
    stopped(path, after)
    content = growing(path).read_bytes()
    growing(path).write_bytes(content[: round(share * len(content))])
    fill(path, resume=True)
    assert path.read_bytes() == (whole / name).read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_resuming_what_is_finished_changes_nothing_and_knows_the_failures(whole, name):
    before = (whole / name).read_bytes()
    with open_output(whole / name, KINDS, model="m", resume=True) as output:
        assert all(output.holds(row.path) for row in ROWS)
        assert [output.earlier[output.lines.image(row.path)] for row in ROWS] == [bool(row.error) for row in ROWS]
    assert (whole / name).read_bytes() == before
    with pytest.raises(InputError, match="does not hold all of these"):
        fill(whole / name, [*ROWS, Row(Path("new.jpg"), error="no")], resume=True)
    assert (whole / name).read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_an_unfinished_file_is_neither_taken_nor_mixed(whole, tmp_path, name):
    path = tmp_path / name
    stopped(path, 3)
    before = growing(path).read_bytes()
    with pytest.raises(InputError, match=r"not finished.*--resume"):
        fill(path)
    with pytest.raises(InputError, match="another model"):
        fill(path, model="other", resume=True)
    assert growing(path).read_bytes() == before
    fill(path, overwrite=True)
    assert path.read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_second_writer_is_turned_away_and_changes_nothing(whole, tmp_path, name, how):
    path = tmp_path / name
    with open_output(path, KINDS, model="m") as output:
        for row in ROWS[:3]:
            output.write(output.lines.line(row))
        before = growing(path).read_bytes()
        with pytest.raises(InputError, match=rf"{name}.*written by another process|{name}.*exists already"):
            fill(path, **how)
        assert growing(path).read_bytes() == before
        for row in ROWS[3:]:
            output.write(output.lines.line(row))
    assert path.read_bytes() == (whole / name).read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_stopped_before_anything_was_noted(whole, tmp_path, name):
    (tmp_path / f"{name}.unfinished").touch()
    fill(tmp_path / name)
    assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_resuming_nothing_begins(whole, tmp_path, name):
    assert fill(tmp_path / name, resume=True) == len(ROWS)
    assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_a_spoilt_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    stopped(path, 3)
    path.write_bytes(path.read_bytes().replace(b"{", b"(", 1))
    with pytest.raises(DataError, match=r"rows\.jsonl:1.*--overwrite"):
        fill(path, resume=True)


def test_other_columns_are_named(tmp_path):
    path = tmp_path / "rows.csv"
    stopped(path, 3)
    path.write_bytes(path.read_bytes().replace(b"diagnosis", b"grading", 1))
    with pytest.raises(DataError, match=r"rows\.csv:1.*columns"):
        fill(path, resume=True)


def test_parquet_has_types_and_nulls(whole):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(whole / "rows.parquet")
    assert table.schema.field("width").type == "int32"
    assert table.schema.field("extent.circle.cx").type == "double"
    first, *_, failed = (table.slice(row, 1).to_pylist()[0] for row in (0, 4))
    assert (first["image"], first["error"], first["extent.circle.cx"]) == ("f/a.jpg", None, 1.5)
    assert (failed["width"], failed["extent.circle.cx"]) == (None, None)
    assert failed["error"] == "damaged\\n"
    assert table["image"].to_pylist()[2] == "=b.jpg"


@pytest.mark.parametrize("name", NAMES)
def test_a_kill_while_another_model_takes_over_leaves_no_old_row(whole, tmp_path, monkeypatch, name):
    """Under the mark of the new model nothing of the old one may stand, whenever the kill comes."""
    import os
    import shutil

    path = tmp_path / name
    shutil.copy(whole / name, path)

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        fill(path, model="other", overwrite=True)
    monkeypatch.undo()
    assert fill(path, model="other", resume=True) == len(ROWS)
