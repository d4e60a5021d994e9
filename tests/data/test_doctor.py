import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dermtl.cli import dermtl
from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.checks.codes import CODES
from dermtl.data.checks.report import Report
from dermtl.data.importers.ingest import import_data
from dermtl.data.importers.lock import lock_path, sha256, write_lock
from dermtl.data.synthetic.dataset import synthesise

ROW = 10  # the table's line that most faults are seeded into; the header is line 1


@dataclass
class Set:
    """A copy of a drawn set, to be spoilt."""

    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.manifest.open(newline="") as file:
            self.rows = list(csv.DictReader(file))

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    @property
    def row(self) -> dict[str, str]:
        return self.rows[ROW - 2]

    def image(self) -> Path:
        return self.folder / self.row["image"]

    def mask(self) -> Path:
        return self.folder / self.row["mask"]

    def write(self) -> None:
        with self.manifest.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)

    def spoil(self, change: Callable[[list[bytes]], None]) -> None:
        """Change the table's lines as bytes."""
        lines = self.manifest.read_bytes().splitlines(keepends=True)
        change(lines)
        self.manifest.write_bytes(b"".join(lines))

    def repaint(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        pixels = change(np.asarray(Image.open(self.image())).copy())
        Image.fromarray(pixels).save(self.image(), quality=95)

    def remask(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        Image.fromarray(change(np.asarray(Image.open(self.mask())).copy())).save(self.mask())


Fault = Callable[[Set], tuple[str, int | None, str]]
FAULTS: dict[str, Fault] = {}


def fault(seed: Fault) -> Fault:
    FAULTS[seed.__name__] = seed
    return seed


def cell(column: str, text: str, code: str, *, row: int = ROW) -> None:
    """A fault that is one cell."""

    def seed(data: Set) -> tuple[str, int | None, str]:
        data.rows[row - 2][column] = text
        data.write()
        return code, row, column

    FAULTS[f"{code}: {column}={text!r}"] = seed


cell("image", "", "empty-image")
cell("image", "../elsewhere/a.jpg", "path-parent")
cell("image", "images/../../a.jpg", "path-parent")
cell("image", "/etc/passwd", "path-absolute")
cell("image", "C:\\pictures\\a.jpg", "path-absolute")
cell("image", "\\\\server\\share\\a.jpg", "path-absolute")
cell("image", "images\\00008.jpg", "path-backslash")
cell("image", "images/00\0008.jpg", "path-control")
cell("image", "images/00\n008.jpg", "path-control", row=41)
cell("image", "Images/00008.JPG", "path-case")
cell("image", "images/none.jpg", "missing-file")
cell("mask", "masks/none.png", "mask-missing")
cell("mask", "../masks/none.png", "path-parent")
cell("cx", "-3", "circle-outside")
cell("cy", "4000", "circle-outside")
cell("r", "0", "circle-radius")
cell("r", "-12.5", "circle-radius")
cell("cy", "", "circle-incomplete")
cell("cx", "left", "not-a-number")
cell("diameter_mm", "about 5", "not-a-number")
cell("diameter_mm", "NaN", "missing-words")
cell("diameter_mm", "+nan", "nan")
cell("age", "inf", "infinite")
cell("r", "-inf", "infinite")
cell("patient_id", "", "group-missing")
cell("label", "Nevus", "class-spelling")
cell("label", "kerat osis", "few-groups")
cell("label", "melanoma ", "class-blanks")


@fault
def a_group_that_nobody_uses(data: Set) -> tuple[str, int | None, str]:
    for index, row in enumerate(data.rows):
        for column in {"patient_id", "lesion_id", "group"} & set(row):
            del row[column]
        row["ward code"] = f"W{index // 4}"
    data.write()
    return "group-unused", 1, "ward code"


@fault
def one_person_in_two_spellings(data: Set) -> tuple[str, int | None, str]:
    for index, row in enumerate(data.rows):
        row["patient_id"] = f"{index // 4 + 1:03}"
    data.row["patient_id"] = data.row["patient_id"].lstrip("0") + ".0"
    data.write()
    return "id-spelling", ROW, "patient_id"


@fault
def no_file(data: Set) -> tuple[str, int | None, str]:
    data.image().unlink()
    return "missing-file", ROW, "image"


@fault
def zero_size(data: Set) -> tuple[str, int | None, str]:
    data.image().write_bytes(b"")
    return "empty-file", ROW, "image"


@fault
def truncated(data: Set) -> tuple[str, int | None, str]:
    whole = data.image().read_bytes()
    data.image().write_bytes(whole[: len(whole) // 2])
    return "truncated", ROW, "image"


@fault
def unreadable(data: Set) -> tuple[str, int | None, str]:
    data.image().write_bytes(b"<html>404 not found</html>")
    return "unreadable", ROW, "image"


@fault
def other_format(data: Set) -> tuple[str, int | None, str]:
    Image.open(data.image()).save(data.image(), "PNG")
    return "wrong-extension", ROW, "image"


@fault
def pdf(data: Set) -> tuple[str, int | None, str]:
    Image.open(data.image()).save(data.image(), "PDF")
    return "refused-format", ROW, "image"


@fault
def frames(data: Set) -> tuple[str, int | None, str]:
    picture = Image.open(data.image()).copy()
    data.row["image"] = "images/frames.tif"
    picture.save(data.image(), save_all=True, append_images=[picture.rotate(90)])
    data.write()
    return "multi-frame", ROW, "image"


@fault
def bomb(data: Set) -> tuple[str, int | None, str]:
    Image.new("1", (12_000, 12_000)).save(data.image(), "PNG")
    return "too-large", ROW, "image"


@fault
def tiny(data: Set) -> tuple[str, int | None, str]:
    data.row.update({"cx": "", "cy": "", "r": "", "mask": ""})
    data.write()
    Image.open(data.image()).resize((12, 10)).save(data.image())
    return "tiny", ROW, "image"


@fault
def constant(data: Set) -> tuple[str, int | None, str]:
    data.repaint(lambda pixels: np.full_like(pixels, 97))
    return "constant", ROW, "image"


@fault
def black(data: Set) -> tuple[str, int | None, str]:
    data.repaint(lambda pixels: pixels // 32)
    return "near-black", ROW, "image"


@fault
def blank(data: Set) -> tuple[str, int | None, str]:
    data.repaint(lambda pixels: 255 - pixels // 40)
    return "near-blank", ROW, "image"


@fault
def grey(data: Set) -> tuple[str, int | None, str]:
    Image.open(data.image()).convert("L").save(data.image())
    return "mixed-modes", ROW, "image"


@fault
def repeated_row(data: Set) -> tuple[str, int | None, str]:
    data.rows.append(data.row)
    data.write()
    return "duplicate-row", len(data.rows) + 1, ""


@fault
def repeated_path(data: Set) -> tuple[str, int | None, str]:
    data.rows.append(data.row | {"image": "./" + data.row["image"], "age": "44"})
    data.write()
    return "duplicate-path", len(data.rows) + 1, "image"


@fault
def copied_picture(data: Set) -> tuple[str, int | None, str]:
    name = "images/copy.jpg"
    shutil.copy(data.image(), data.folder / name)
    data.rows.append(data.row | {"image": name})
    data.write()
    return "equal-pixels", len(data.rows) + 1, "image"


@fault
def copied_with_another_label(data: Set) -> tuple[str, int | None, str]:
    name = "images/copy.png"
    Image.open(data.image()).save(data.folder / name)
    other = next(row["label"] for row in data.rows if row["label"] != data.row["label"])
    data.rows.append(data.row | {"image": name, "label": other})
    data.write()
    return "equal-pixels-labels", len(data.rows) + 1, "image"


@fault
def linked_out(data: Set) -> tuple[str, int | None, str]:
    outside = data.folder.parent / "outside.jpg"
    data.image().rename(outside)
    data.image().symlink_to(outside)
    return "path-link", ROW, "image"


@fault
def linked_folder(data: Set) -> tuple[str, int | None, str]:
    outside = data.folder.parent / "elsewhere"
    outside.mkdir()
    data.image().rename(outside / data.image().name)
    (data.folder / "linked").symlink_to(outside)
    data.row["image"] = f"linked/{data.image().name}"
    data.write()
    return "path-link", ROW, "image"


@fault
def two_cases(data: Set) -> tuple[str, int | None, str]:
    name = data.row["image"].replace(".jpg", ".JPG")
    Image.open(data.image()).rotate(90).save(data.folder / name)
    data.rows.append(data.row | {"image": name, "mask": "", "cx": "", "cy": "", "r": ""})
    data.write()
    return "path-case", len(data.rows) + 1, "image"


@fault
def marks_as_a_mac_writes_them(data: Set) -> tuple[str, int | None, str]:
    """The name in the table looks like the file's, and is another: its umlaut is a letter and a mark."""
    here = data.image()
    here.rename(here.with_name("Süß.jpg"))
    data.row["image"] = "images/Su\u0308ß.jpg"
    data.write()
    return "path-case", ROW, "image"


@fault
def turned_beside_its_mask(data: Set) -> tuple[str, int | None, str]:
    exif = Image.Exif()
    exif[0x0112] = 6
    data.row.update({"cx": "", "cy": "", "r": ""})
    data.write()
    picture = Image.open(data.image()).copy().crop((0, 0, 100, 80))
    picture.save(data.image(), exif=exif)
    Image.open(data.mask()).copy().crop((20, 0, 120, 80)).save(data.mask())
    return "mask-orientation", ROW, "mask"


@fault
def upside_down_beside_its_mask(data: Set) -> tuple[str, int | None, str]:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(data.image()).copy().save(data.image(), exif=exif)
    return "mask-turned", ROW, "mask"


@fault
def small_mask(data: Set) -> tuple[str, int | None, str]:
    data.remask(lambda mask: mask[::2, ::2])
    return "mask-size", ROW, "mask"


@fault
def faint_mask(data: Set) -> tuple[str, int | None, str]:
    data.remask(lambda mask: mask // 4)
    return "mask-values", ROW, "mask"


@fault
def stray_levels(data: Set) -> tuple[str, int | None, str]:
    def speckle(mask: np.ndarray) -> np.ndarray:
        mask[3, 4] = 17
        return mask

    data.remask(speckle)
    return "mask-stray", ROW, "mask"


@fault
def empty_mask(data: Set) -> tuple[str, int | None, str]:
    data.remask(np.zeros_like)
    return "mask-empty", ROW, "mask"


@fault
def full_mask(data: Set) -> tuple[str, int | None, str]:
    data.remask(lambda mask: np.full_like(mask, 255))
    return "mask-full", ROW, "mask"


@fault
def coloured_mask(data: Set) -> tuple[str, int | None, str]:
    Image.open(data.image()).convert("RGB").save(data.mask())
    return "mask-coloured", ROW, "mask"


@fault
def damaged_mask(data: Set) -> tuple[str, int | None, str]:
    data.mask().write_bytes(data.mask().read_bytes()[:60])
    return "mask-unreadable", ROW, "mask"


@fault
def a_class_of_one_group(data: Set) -> tuple[str, int | None, str]:
    data.row["label"] = "dermatofibroma"
    data.write()
    return "few-groups", ROW, "label"


@fault
def a_single_class(data: Set) -> tuple[str, int | None, str]:
    for row in data.rows:
        row["label"] = "nevus"
    data.write()
    return "one-class", 2, "label"


@fault
def one_hot(data: Set) -> tuple[str, int | None, str]:
    names = ("nevus", "melanoma", "keratosis")
    for row in data.rows:
        row |= {name.upper(): "1.0" if row["label"] == name else "0.0" for name in names}
    data.row.update(dict.fromkeys((name.upper() for name in names), "1.0"))
    data.write()
    return "one-hot-sum", ROW, "NEVUS, MELANOMA, KERATOSIS"


@fault
def unknown_patients_as_one(data: Set) -> tuple[str, int | None, str]:
    for row in data.rows[1:]:
        row["patient_id"] = "unknown"
    data.write()
    return "giant-group", 3, "patient_id"


@fault
def unknown_split(data: Set) -> tuple[str, int | None, str]:
    for row in data.rows:
        row["split"] = "train"
    data.row["split"] = "held out"
    data.write()
    return "split-value", ROW, "split"


@fault
def patient_on_two_sides(data: Set) -> tuple[str, int | None, str]:
    for row in data.rows:
        row["split"] = "train"
    data.rows[-1] |= {"split": "test", "patient_id": data.row["patient_id"]}
    data.write()
    return "group-split", len(data.rows) + 1, "split"


@fault
def latin_1(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__setitem__(ROW - 1, lines[ROW - 1].replace(b"male", b"m\xe4nnlich")))
    return "encoding", ROW, ""


@fault
def a_line_for_spreadsheets(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.insert(0, b"sep=,\n"))
    return "separator-line", 1, ""


@fault
def mixed_separators(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__setitem__(ROW - 1, lines[ROW - 1].replace(b",", b";")))
    return "separators", ROW, ""


@fault
def extra_cell(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__setitem__(ROW - 1, b"extra," + lines[ROW - 1]))
    return "cell-count", ROW, ""


@fault
def bare_quote(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__setitem__(ROW - 1, b'"images/x"y.jpg,' + lines[ROW - 1]))
    return "quoting", ROW, ""


@fault
def repeated_column(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__setitem__(0, lines[0].replace(b"lesion_id", b"label")))
    return "duplicate-column", 1, "label"


def lock(data: Set) -> None:
    files = {row[column]: sha256(data.folder / row[column]) for row in data.rows for column in ("image", "mask")}
    write_lock(data.manifest, {"format": "table"}, files)


@fault
def picture_changed_since_its_import(data: Set) -> tuple[str, int | None, str]:
    lock(data)
    Image.open(data.image()).save(data.image(), quality=91)
    return "file-changed", ROW, "image"


@fault
def mask_changed_since_its_import(data: Set) -> tuple[str, int | None, str]:
    lock(data)
    Image.open(data.mask()).save(data.mask(), optimize=True)
    return "file-changed", ROW, "mask"


@fault
def table_changed_since_its_import(data: Set) -> tuple[str, int | None, str]:
    lock(data)
    data.row["age"] = "44"
    data.write()
    return "table-changed", None, ""


@fault
def damaged_lock(data: Set) -> tuple[str, int | None, str]:
    lock_path(data.manifest).write_text('{"lock": 1, "files": []}')
    return "lock-unreadable", None, ""


@fault
def negative_pixels(data: Set) -> tuple[str, int | None, str]:
    grey = np.asarray(Image.open(data.image()).convert("L")).astype(np.int32)
    Image.fromarray(grey - 100).save(data.image(), "TIFF")
    return "pixel-range", ROW, "image"


@fault
def twelve_bits_in_sixteen(data: Set) -> tuple[str, int | None, str]:
    grey = np.asarray(Image.open(data.image()).convert("L")).astype(np.uint16)
    Image.fromarray(grey * 16).save(data.image(), "PNG")
    return "narrow-range", ROW, "image"


@fault
def a_profile_of_other_colours(data: Set) -> tuple[str, int | None, str]:
    Image.open(data.image()).save(data.image(), "JPEG", quality=95, icc_profile=b"no profile")
    return "colour-profile", ROW, "image"


@fault
def void_beside_a_lesion(data: Set) -> tuple[str, int | None, str]:
    def border(mask: np.ndarray) -> np.ndarray:
        mask = (mask > 127).astype(np.uint8)
        mask[:2] = 255
        return mask

    data.remask(border)
    return "mask-values", ROW, "mask"


def divided(data: Set) -> None:
    for index, row in enumerate(data.rows):
        row["split"] = ("train", "train", "val", "test")[index % 4]
        row["patient_id"] = row["lesion_id"] = str(index)
        row["label"] = ("nevus", "melanoma")[index % 8 // 4]


@fault
def a_side_without_truths(data: Set) -> tuple[str, int | None, str]:
    divided(data)
    for row in data.rows[3::4]:
        row["label"] = ""
    data.write()
    return "split-no-truth", 5, "label"


@fault
def a_class_that_train_has_not(data: Set) -> tuple[str, int | None, str]:
    divided(data)
    data.rows[7]["label"] = data.rows[3]["label"] = "keratosis"
    data.write()
    return "split-class", 5, "label"


@fault
def a_side_without_pictures(data: Set) -> tuple[str, int | None, str]:
    divided(data)
    for row in data.rows[2::4]:
        row["split"] = "train"
    data.write()
    return "split-empty", 1, "split"


@fault
def a_workbook(data: Set) -> tuple[str, int | None, str]:
    data.manifest.write_bytes(b"PK\x03\x04" + bytes(100))
    return "workbook", 1, ""


@fault
def an_empty_tail(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.extend([b"," * (len(data.rows[0]) - 1) + b"\n"] * 3))
    return "empty-rows", 42, ""


@fault
def no_rows(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__delitem__(slice(1, None)))
    return "empty-table", 1, ""


@fault
def no_bytes(data: Set) -> tuple[str, int | None, str]:
    data.manifest.write_bytes(b"")
    return "empty-table", 1, ""


@fault
def no_image_column(data: Set) -> tuple[str, int | None, str]:
    data.spoil(lambda lines: lines.__setitem__(0, lines[0].replace(b"image", b"img_id")))
    return "no-column", 1, "image"


@fault
def no_table(data: Set) -> tuple[str, int | None, str]:
    data.manifest.unlink()
    return "no-table", None, ""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "set"
    synthesise(folder, num=40, seed=5)
    return folder


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_in_its_row_and_column(name: str, clean: Path, tmp_path: Path) -> None:
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    code, row, column = FAULTS[name](data)
    report = check_dataset(data.manifest)
    assert (code, row, column) in [(one.code, one.row, one.column) for one in report.findings]
    finding = next(one for one in report.findings if one.code == code)
    assert finding.message
    assert finding.hint
    assert finding.where.startswith("manifest.csv")
    severe = {one.code for one in report.findings if one.severity == "error"}
    assert severe <= {code}, "one fault, one kind of error"


def test_every_code_is_seeded(clean: Path, tmp_path: Path) -> None:
    seeded = set()
    for index, seed in enumerate(FAULTS.values()):
        seeded.add(seed(Set(Path(shutil.copytree(clean, tmp_path / str(index) / "set"))))[0])
    elsewhere = {"narrow-window", "class-folders", "unknown-class", "annotation", "passed-over", "split-one-class"}
    assert seeded == set(CODES) - elsewhere


def test_every_code_stands_in_the_guide_under_its_severity() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    lines = guide.partition("\n## Checking\n")[2].partition("\n## ")[0].splitlines()
    rows = [line.split("|") for line in lines if line.startswith("|") and len(line.split("|")) == 5]
    listed = {
        code: severity
        for row in rows
        for severity, cell in (("error", row[2]), ("warning", row[3]))
        for code in re.findall("`([a-z0-9-]+)`", cell)
    }
    assert listed == {code: severity for code, (severity, _) in CODES.items()}


@pytest.mark.parametrize(("num", "seed"), [(24, 0), (40, 5), (90, 1)])
def test_nothing_is_found_in_a_clean_set(num: int, seed: int, tmp_path: Path) -> None:
    manifest = synthesise(tmp_path, num=num, seed=seed)
    report = check_dataset(manifest)
    assert list(report.findings) == []
    assert report.num_images == num
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert list(check_dataset(manifest).findings) == []


def test_many_faults_at_once_are_all_found(clean: Path, tmp_path: Path) -> None:
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    for row, change in {3: {"cx": "x"}, 4: {"label": "Nevus "}, 5: {"image": "gone.jpg"}, 6: {"r": "-1"}}.items():
        data.rows[row - 2] |= change
    data.write()
    report = check_dataset(data.manifest)
    assert [finding.row for finding in report.findings if finding.severity == "error"] == sorted(
        finding.row or 0 for finding in report.findings if finding.severity == "error"
    )
    assert {3, 5, 6} <= {finding.row for finding in report.findings}


def test_a_set_as_it_was_imported_is_clean_and_stays_so_only_untouched(clean: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clean, tmp_path / "set"))
    manifest = import_data(folder / "manifest.csv", folder / "imported.csv").manifest
    assert list(check_dataset(manifest).findings) == []
    data = Set(folder)
    kept = data.image().read_bytes()
    data.image().write_bytes(kept + b"\0")
    data.mask().unlink()
    report = check_dataset(manifest)
    assert {(one.code, one.row, one.column) for one in report.findings} == {
        ("file-changed", ROW, "image"),
        ("mask-missing", ROW, "mask"),
    }, "a missing file is told once"
    data.image().unlink()
    assert [one.code for one in check_dataset(manifest).findings] == ["missing-file", "mask-missing"]


def test_a_file_in_a_column_of_no_meaning_is_compared_too(clean: Path, tmp_path: Path) -> None:
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    (data.folder / "notes.txt").write_text("a")
    for row in data.rows:
        row["notes"] = ""
    data.row["notes"] = "notes.txt"
    data.write()
    write_lock(data.manifest, {}, {"notes.txt": sha256(data.folder / "notes.txt"), "../outside.txt": "0", "gone": "1"})
    assert list(check_dataset(data.manifest).findings) == []
    (data.folder / "notes.txt").unlink()
    assert [(one.code, one.row, one.column) for one in check_dataset(data.manifest).findings] == [
        ("missing-file", ROW, "notes")
    ]


def test_class_folders(clean: Path, tmp_path: Path) -> None:
    for index, path in enumerate(sorted((clean / "images").iterdir())[:6]):
        target = tmp_path / "set" / ("a" if index % 2 else "b") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert list(check_dataset(tmp_path / "set").findings) == []
    target.write_bytes(b"")
    assert [(one.code, one.where) for one in check_dataset(tmp_path / "set").findings] == [
        ("empty-file", f"a/{path.name}")
    ]
    (tmp_path / "empty").mkdir()
    assert [one.code for one in check_dataset(tmp_path / "empty").findings] == ["class-folders"]


def test_random_tables_never_raise(tmp_path: Path, clean: Path) -> None:
    rng = np.random.default_rng(0)
    whole = np.frombuffer((clean / "manifest.csv").read_bytes(), np.uint8)
    path = Path(shutil.copytree(clean, tmp_path / "set")) / "manifest.csv"
    for _ in range(25):
        spoilt = whole[: rng.integers(len(whole) // 20, len(whole) // 4)].copy()
        places = rng.integers(0, len(spoilt), 12)
        spoilt[places] = rng.choice(np.frombuffer(b'\0\n\r",;\xff\xe9 =', np.uint8), 12)
        path.write_bytes(spoilt.tobytes())
        assert isinstance(check_dataset(path), Report)


def test_command(clean: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(dermtl, ["data", "check", str(clean / "manifest.csv")], catch_exceptions=False)
    assert result.exit_code == 0
    assert "0 errors, 0 warnings; 40 pictures" in result.output
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    for row in data.rows[4:9]:
        os.unlink(data.folder / row["image"])  # noqa: PTH108
    arguments = ["data", "check", str(data.manifest), "--json", str(tmp_path / "found.json"), "--show", "3"]
    result = CliRunner().invoke(dermtl, arguments, catch_exceptions=False)
    assert result.exit_code == 1
    assert "missing-file  5" in result.output
    assert "manifest.csv:6" in result.output
    assert "and 2 more" in result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["codes"] == {"missing-file": 5}
    assert found["num_errors"] == 5
    assert [one["row"] for one in found["findings"]] == [6, 7, 8, 9, 10]
    assert found["findings"][0]["severity"] == "error"


def test_warnings_alone_exit_0(clean: Path, tmp_path: Path) -> None:
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    stray_levels(data)
    result = CliRunner().invoke(dermtl, ["data", "check", str(data.manifest)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "0 errors, 1 warnings" in result.output


EXPERIMENT = """
name: check
data: {{root: {root}, split: {{column: {split}}}}}
backbone: {{name: resnet10t}}
heads:
  {heads}
training: {{stages: [{{epochs: 1}}]}}
"""


def checked(root: Path, heads: str, *, split: str = "null") -> list[tuple[str, int, str]]:
    config = root.parent / "experiment.yaml"
    config.write_text(EXPERIMENT.format(root=root, heads=heads, split=split))
    target = root.parent / "found.json"
    arguments = ["data", "check", str(root / "manifest.csv"), "--config", str(config), "--json", str(target)]
    result = CliRunner().invoke(dermtl, arguments, catch_exceptions=False)
    found = json.loads(target.read_text())
    assert result.exit_code == (1 if found["num_errors"] else 0)
    return [(one["code"], one["row"], one["column"]) for one in found["findings"]]


def test_an_experiment_says_what_matters(clean: Path, tmp_path: Path) -> None:
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    data.rows[3] |= {"label": "carcinoma", "diameter_mm": "wide", "cx": "-1"}
    data.rows[4]["patient_id"] = "unknown"
    data.write()
    every = "classes: [nevus, melanoma, keratosis]"
    assert checked(data.folder, f"d: {{type: classification, {every}}}") == [
        ("unknown-class", 5, "label"),
        ("few-groups", 5, "label"),
    ]
    assert checked(data.folder, "d: {type: circle}") == [("circle-outside", 5, "cx")]
    assert checked(data.folder, "d: {type: number, names: [diameter_mm]}") == [("not-a-number", 5, "diameter_mm")]
    assert checked(data.folder, "d: {type: classification, column: kind}") == [("no-column", 1, "kind")]
    assert ("no-column", 1, "fold") in checked(data.folder, "d: {type: circle}", split="fold")


def test_masks_of_several_classes_follow_the_experiment(clean: Path, tmp_path: Path) -> None:
    data = Set(Path(shutil.copytree(clean, tmp_path / "set")))
    for row in data.rows:
        mask = np.asarray(Image.open(data.folder / row["mask"])) // 255 * 2
        Image.fromarray(mask).save(data.folder / row["mask"])
    assert list(check_dataset(data.manifest).findings) == []
    assert checked(data.folder, "d: {type: segmentation, classes: [rim, core]}") == []
    codes = [code for code, *_ in checked(data.folder, "d: {type: segmentation, classes: [lesion]}")]
    assert codes == ["mask-values"] * 40


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("bccd", set()),
        ("busi", {"mixed-modes"}),
        ("ham10000_224", set()),
        ("idrid_codras", {"equal-pixels"}),
        ("isic_uda1", set()),
        ("natural_photos", {"few-groups"}),
        ("ph2", set()),
    ],
)
def test_real_sets(name: str, codes: set[str], shared: Path) -> None:
    report = check_dataset(shared / "data" / name / "labels.csv")
    assert report.num_errors == 0
    assert {finding.code for finding in report.findings} == codes
