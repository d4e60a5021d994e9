import csv
import io
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermtl.data.checks.rows import read_rows
from dermtl.errors import DataError, ManifestError
from dermtl.files.atomic import write_atomic
from dermtl.files.separator import START, find_separator
from dermtl.files.table import read_header, read_table, write_table

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


names = texts.map(str.strip) | formulas.map(str.strip)


@same_folder
@given(st.lists(names, min_size=1, max_size=4, unique=True).filter(all))
def test_a_header_reads_back_and_runs_in_no_spreadsheet(tmp_path: Path, header: list[str]) -> None:
    path = tmp_path / "t.csv"
    write_table(path, header, [["x"] * len(header)])
    ((_, cells),) = read_table(path)
    assert list(cells) == header
    assert read_header(path) == tuple(header)
    assert read_rows(path).columns == header
    with path.open(newline="", encoding="utf-8") as file:
        for cell in next(csv.reader(file)):
            assert _is_number(cell) or not cell.startswith(("=", "@", "\t", "+", "-"))


def test_a_formula_as_the_name_of_a_column_is_written_as_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_table(path, ["image", '=HYPERLINK("http://evil")', " spaced "], [["x.png", "1", "2"]])
    assert path.read_text() == 'image,"\'=HYPERLINK(""http://evil"")",spaced\nx.png,1,2\n'
    ((_, cells),) = read_table(path)
    assert dict(cells) == {"image": "x.png", '=HYPERLINK("http://evil")': "1", "spaced": "2"}


def test_columns_that_would_read_back_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="'age' stands twice"):
        write_table(tmp_path / "t.csv", ["age", " age"], [])
    assert not (tmp_path / "t.csv").exists()
    write_table(tmp_path / "t.csv", ["=age", "'=age"], [["1", "2"]])
    assert [dict(cells) for _, cells in read_table(tmp_path / "t.csv")] == [{"=age": "1", "'=age": "2"}]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("\nimage;label\nx.png;mel\n", [{"image": "x.png", "label": "mel"}]),
        ("\r\n\r\nimage\tlabel\r\nx.png\tmel\r\n", [{"image": "x.png", "label": "mel"}]),
        ('"image, the file";label\nx.png;mel\n', [{"image, the file": "x.png", "label": "mel"}]),
        ('"a;b;c",label\nx.png,mel\n', [{"a;b;c": "x.png", "label": "mel"}]),
        ('"say ""a;b;c""",label\nx.png,mel\n', [{'say "a;b;c"': "x.png", "label": "mel"}]),
        ('"two\nlines, long";label\nx.png;mel\n', [{"two\nlines, long": "x.png", "label": "mel"}]),
        ("image;size, in mm, or so\nx.png;3\n", [{"image": "x.png", "size, in mm, or so": "3"}]),
        (
            "\ufeffimage;label\nx.png;0,5\ny.png;1\n",
            [{"image": "x.png", "label": "0,5"}, {"image": "y.png", "label": "1"}],
        ),
        ('tube 5" wide;label\nx.png;mel\n', [{'tube 5" wide': "x.png", "label": "mel"}]),
        ("image\nx.png\n", [{"image": "x.png"}]),
    ],
)
def test_the_separator_is_found_whatever_the_first_line_holds(
    tmp_path: Path, text: str, rows: list[dict[str, str]]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert [dict(cells) for _, cells in read_table(path)] == rows
    checked = read_rows(path)
    assert [dict(cells) for _, cells in checked.rows] == rows
    assert not checked.findings
    assert read_header(path) == tuple(rows[0])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0\r"), max_size=8), min_size=2, max_size=5))
def test_quoted_cells_never_decide(separator: str, header: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerow(header)
    assert find_separator(text.getvalue()) == separator


def test_a_long_table_is_cut_without_harm(tmp_path: Path) -> None:
    text = "image;note\n" + "".join(f"{number}.jpg;{'a,' * (number % 7)}\n" for number in range(START // 8))
    assert find_separator(text[:START]) == ";"
    assert find_separator("x" * START) == ","


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"\xff\xfe\xff", b"a\0b,c\n", b"", b"\n\n"])
def test_what_is_no_text_has_no_columns(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read_header(tmp_path / "file") == ()
    assert read_header(tmp_path / "none") == ()


def test_a_spoilt_row_does_not_hide_the_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"image,name\nx.png,J\xfcrgen\n")
    assert read_header(tmp_path / "t.csv") == ("image", "name")


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
