import csv
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.importers.ingest import import_data
from dermtl.data.importers.named import Columns
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import ManifestError
from dermtl.files.spreadsheet import read_spreadsheet, spreadsheet_header
from dermtl.files.table import read_table

ROWS = [["image", "label", "note"], ["a.jpg", "nävus", "x, y"], ["b.jpg", "mel", ""]]


def text(separator: str = ",", end: str = "\r\n") -> str:
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in ROWS]
    return "".join(separator.join(row) + end for row in quoted)


FORMS = {
    "cp1252": text(";").encode("cp1252"),
    "utf16": text("\t").encode("utf-16"),
    "utf16 big": b"\xfe\xff" + text(";").encode("utf-16-be"),
    "sep": ("\ufeffsep=;\r\n" + text(";")).encode(),
    "sep cp1252": ("sep=;\r\n" + text(";")).encode("cp1252"),
    "cr": text(end="\r").encode(),
    "tail": (text() + ",,\r\n,,\r\n").encode(),
    "plain": text().encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_as_spreadsheets_save_them(form: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(FORMS[form])
    rows = list(read_spreadsheet(path))
    assert [list(cells.values()) for _, cells in rows] == ROWS[1:]
    assert spreadsheet_header(path) == tuple(ROWS[0])
    first = 3 if form.startswith("sep") else 2
    assert [where for where, _ in rows] == [f"table.csv:{first}", f"table.csv:{first + 1}"]


@pytest.mark.parametrize("form", FORMS)
def test_an_import_writes_them_as_utf_8(form: str, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    (tmp_path / "table.csv").write_bytes(FORMS[form])
    made = import_data(tmp_path / "table.csv", tmp_path / "out.csv")
    with made.manifest.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == ROWS
    assert made.labels == {"mel": 1, "nävus": 1}


@pytest.mark.parametrize(("form", "code"), [("cp1252", "encoding"), ("utf16", "encoding"), ("sep", "separator-line")])
def test_check_has_one_finding_a_file(form: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(FORMS[form] * 1)
    codes = [one.code for one in check_dataset(tmp_path / "table.csv").findings]
    assert codes.count(code) == 1
    assert set(codes) <= {code, "missing-file", "few-groups"}


def test_many_lines_of_windows_text_are_one_finding(tmp_path: Path) -> None:
    lines = ["image,label", *(f"{index}.jpg,nävus" for index in range(200)), ""]
    (tmp_path / "t.csv").write_bytes("\n".join(lines).encode("cp1252"))
    found = [one for one in check_dataset(tmp_path / "t.csv").findings if one.code == "encoding"]
    assert [(one.row, "200 lines" in one.message) for one in found] == [(2, True)]


def test_decimal_commas_are_one_finding_a_column(tmp_path: Path) -> None:
    lines = ["image;cx;cy;r", *(f"{index}.jpg;{index},5;{index}.5;x" for index in range(20)), ""]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = [one for one in check_dataset(tmp_path / "t.csv").findings if one.code == "not-a-number"]
    assert [(one.row, one.message) for one in found if one.column == "cx"] == [
        (2, "20 cells have a decimal comma, such as '0,5'")
    ]
    assert sum(one.column == "r" for one in found) == 20
    assert not [one for one in found if one.column == "cy"]


def test_empty_tail_rows_are_passed_over_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "manifest.csv").write_bytes(FORMS["tail"])
    assert [record.image for record in read_manifest(Data(root=tmp_path))] == ["a.jpg", "b.jpg"]
    assert "2 rows that are empty in all cells" in caplog.text
    found = [one for one in check_dataset(tmp_path / "manifest.csv").findings if one.code == "empty-rows"]
    assert [(one.row, one.severity) for one in found] == [(4, "warning")]


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_workbook_is_one_finding_and_one_clear_error(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(start + bytes(range(256)))
    assert [one.code for one in check_dataset(path).findings] == ["workbook"]
    with pytest.raises(ManifestError, match=r"an Excel workbook.*save the sheet as CSV UTF-8"):
        list(read_spreadsheet(path))


def test_the_usual_columns_are_known_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "t.csv").write_text("Image,Label,Age\n.\\a.jpg,mel,4\n")
    made = import_data(tmp_path / "t.csv", tmp_path / "out.csv")
    assert made.columns == ("image", "label", "Age")
    assert (tmp_path / "out.csv").read_text() == "image,label,Age\na.jpg,mel,4\n"


def test_a_workbook_as_openpyxl_writes_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers, days, truth values and text as a person sees them, from the first sheet that holds anything."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Deckblatt"
    sheet = book.create_sheet("Daten")
    sheet.append([])
    sheet.append(["Datei ", "Diagnose", "Nr", "Alter", "Tag", "sicher", None])
    for index in range(4):
        Image.effect_noise((32, 32), 60).save(tmp_path / f"Bild {index}.jpg")
        row = [f"Bild {index}.jpg", ("Nävus", "Melanom")[index % 2], f"00{index // 2}", 41.5 + index, None, True]
        row[4] = datetime(2024, 5, 31 - index)
        sheet.append(row)
    sheet.append([None, "", None])
    book.create_sheet("Alt").append(["x"])
    book.save(tmp_path / "Patienten.xlsx")
    made = import_data(tmp_path, columns=Columns("Datei", "Diagnose", "Nr"))
    rows = [cells for _, cells in read_table(made.manifest)]
    assert [cells["label"] for cells in rows] == ["Nävus", "Melanom"] * 2
    assert [cells["group"] for cells in rows] == ["000", "000", "001", "001"]
    assert [cells["Alter"] for cells in rows] == ["41.5", "42.5", "43.5", "44.5"]
    assert (rows[0]["Tag"], rows[0]["sicher"]) == ("2024-05-31", "True")
    assert "sheet 'Daten' is read, not 'Alt'" in caplog.text
    made.manifest.unlink()
    with pytest.raises(ManifestError, match=r"--image-column Datei --label-column Diagnose"):
        import_data(tmp_path)


def test_workbooks_of_a_million_cells_of_nothing_are_bounded(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with (
        zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(1100):
            part.write(bytes(1 << 20))
    with pytest.raises(ManifestError, match="cannot be read"):
        import_data(tmp_path / "bomb.xlsx")
