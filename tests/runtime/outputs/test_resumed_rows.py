"""A file of predictions that was cut off anywhere is gone on with: no row is lost, none comes twice, no models mix."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.errors import DataError, InputError
from dermtl.kinds import Category, Circle
from dermtl.runtime.outputs.rows import open_rows
from dermtl.runtime.predict_rows import Row
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
    with open_rows(path, KINDS, model=model, **options) as output:
        missing = [row for row in rows if not output.holds(row.path)]
        for row in missing[:stop_after]:
            output.write(output.format.line(row))
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
    assert sorted(file.name for file in path.parent.iterdir()) == [name, f"{name}.model.json"]


@pytest.mark.parametrize("name", NAMES)
def test_resuming_what_is_finished_changes_nothing_and_knows_the_failures(whole, name):
    before = (whole / name).read_bytes()
    with open_rows(whole / name, KINDS, model="m", resume=True) as output:
        assert all(output.holds(row.path) for row in ROWS)
        assert [output.earlier[output.format.image(row.path)] for row in ROWS] == [bool(row.error) for row in ROWS]
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
    with open_rows(path, KINDS, model="m") as output:
        for row in ROWS[:3]:
            output.write(output.format.line(row))
        before = growing(path).read_bytes()
        with pytest.raises(InputError, match=rf"{name}.*written by another process|{name}.*exists already"):
            fill(path, **how)
        assert growing(path).read_bytes() == before
        for row in ROWS[3:]:
            output.write(output.format.line(row))
    assert path.read_bytes() == (whole / name).read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == [name, f"{name}.model.json"]


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


def test_a_finished_file_says_which_model_wrote_it(whole):
    for name in NAMES:
        assert json.loads((whole / f"{name}.model.json").read_text()) == {"model": "m"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [ROWS, [*ROWS, Row(Path("new.jpg"), error="no")]], ids=["same", "more"])
def test_a_finished_file_of_another_model_is_refused(tmp_path, name, rows):
    path = tmp_path / name
    fill(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"finished with another model.*--overwrite"):
        fill(path, rows, model="other", resume=True)
    assert path.read_bytes() == before
    fill(path, model="other", overwrite=True)
    assert json.loads((tmp_path / f"{name}.model.json").read_text()) == {"model": "other"}
    assert fill(path, model="other", resume=True) == 0


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_finished_file_whose_model_is_not_known_is_refused(tmp_path, content):
    path, record = tmp_path / "rows.jsonl", tmp_path / "rows.jsonl.model.json"
    fill(path)
    record.unlink() if content is None else record.write_text(content)
    with pytest.raises(InputError, match=r"which model wrote it: rows\.jsonl\.model\.json is missing.*--overwrite"):
        fill(path, resume=True)


class Killed(BaseException):
    pass


class Mortal:
    """Everything that changes files, until the process dies before the ``alive``-th change."""

    def __init__(self, monkeypatch, alive):
        self.left = alive
        for place, name in ((Path, "unlink"), (Path, "replace"), (os, "fsync"), (os, "truncate"), (os, "open")):
            monkeypatch.setattr(place, name, self.dying(getattr(place, name)))

    def dying(self, change):
        def call(*args, **options):
            if self.left == 0:
                raise Killed
            self.left -= 1
            return change(*args, **options)

        return call


def rows_by(model):
    return [Row(Path(f"{number}.jpg"), error=f"by {model}") for number in range(3)]


def writers(path):
    """Which models wrote the rows of a file."""
    if path.suffix == ".parquet":
        errors = pytest.importorskip("pyarrow.parquet").read_table(path)["error"].to_pylist()
    else:
        errors = [line for line in path.read_text().splitlines() if "jpg" in line]
    assert len(errors) == 3
    return {model for model in ("m", "other") if any(f"by {model}" in error for error in errors)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("then", ["m", "other"])
def test_killed_at_any_moment_rows_are_kept_and_of_one_model(tmp_path, name, then):
    """A file finished by one model, overwritten by one, killed at every change of a file in turn, and resumed."""
    pytest.importorskip("pyarrow")
    for alive in range(40):
        path = tmp_path / str(alive) / name
        fill(path, rows_by("m"))
        with pytest.MonkeyPatch.context() as patch:
            Mortal(patch, alive)
            try:
                fill(path, rows_by(then), model=then, overwrite=True)
                survived = True
            except Killed:
                survived = False
        if path.suffix == ".parquet":
            assert writers(path) in ({"m"}, {then})  # a Parquet file is whole at every moment
        try:
            fill(path, rows_by(then), model=then, resume=True)
            assert writers(path) == {then}
        except InputError as error:  # killed before the other model took over
            refusal = str(error)
            assert "finished with another model" in refusal, refusal
            assert writers(path) == {"m"}
        if survived:
            break
    assert survived
    assert alive > 5


@pytest.mark.parametrize("name", NAMES)
def test_a_new_file_is_resumed_whenever_the_kill_came(whole, tmp_path, name):
    for alive in range(40):
        path = tmp_path / str(alive) / name
        with pytest.MonkeyPatch.context() as patch:
            mortal = Mortal(patch, alive)
            with contextlib.suppress(Killed):
                fill(path)
        fill(path, resume=True)
        assert path.read_bytes() == (whole / name).read_bytes()
        if mortal.left > 0:
            break
    assert alive > 5
    assert sorted(file.name for file in path.parent.iterdir()) == [name, f"{name}.model.json"]
