import csv
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermtl.data.atomic import write_atomic
from dermtl.data.table import read_table, write_table
from dermtl.errors import DataError, ManifestError

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
formulas = st.builds("".join, st.tuples(st.sampled_from(["=", "+", "-", "@", "\t", "'=", "''@"]), texts))
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@same_folder
@given(st.lists(st.tuples(texts | formulas, st.floats(allow_nan=False), formulas), min_size=1, max_size=5))
def test_what_is_written_reads_back_and_runs_in_no_spreadsheet(
    tmp_path: Path, rows: list[tuple[str, float, str]]
) -> None:
    path = tmp_path / "t.csv"
    write_table(path, ("a", "number", "b"), rows)
    read = [(cells["a"], float(cells["number"]), cells["b"]) for _, cells in read_table(path)]
    assert read == rows
    with path.open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            for cell in (row[0], row[2]):
                assert _is_number(cell) or not cell.startswith(("=", "@", "\t", "+", "-"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_none_is_an_empty_cell(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("a", "b"), [(None, 1)])
    assert (tmp_path / "t.csv").read_text() == "a,b\n,1\n"


def test_rows_cross_processes(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("a", "b"), [("x", 1)])
    ((_, cells),) = read_table(tmp_path / "t.csv")
    assert dict(pickle.loads(pickle.dumps(cells))) == {"a": "x", "b": "1"}


def test_atomic_writes_replace_and_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomic(path, "one\r\n")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"file\.txt: cannot be written: No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot be written"):
        write_atomic(path / "below", "x")


def test_a_line_for_spreadsheets_alone_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\nimage;label\na.jpg;x\n")
    with pytest.raises(ManifestError, match=r"t\.csv:1: expected the columns' names, got 'sep=;' \(delete this line"):
        list(read_table(tmp_path / "t.csv"))
