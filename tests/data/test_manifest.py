import re
from pathlib import Path

import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import ManifestError


def write(root: Path, text: str | bytes, name: str = "manifest.csv") -> Data:
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Data(root=root, manifest=name)


def refused(data: Data, *words: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(data)
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_every_dialect(tmp_path: Path, mark: str, separator: str, end: str) -> None:
    rows = [["image", "label", "größe"], ["a.jpg", "nävus", "1.5"], ["b/c.JPG", "", "-2"]]
    data = write(tmp_path, mark + end.join(separator.join(row) for row in rows))
    first, second = read_manifest(data)
    assert (first.image, first.where, first.path) == ("a.jpg", "manifest.csv:2", tmp_path / "a.jpg")
    assert dict(first.cells) == {"image": "a.jpg", "label": "nävus", "größe": "1.5"}
    assert second.text("label") is None
    assert second.number("größe") == -2
    assert "nope" not in second.cells


def test_where_counts_lines_of_the_file(tmp_path: Path) -> None:
    text = 'image,note\na.jpg,"two\nlines"\n\nb.jpg,"a, b"\n'
    records = read_manifest(write(tmp_path, text))
    assert [record.where for record in records] == ["manifest.csv:2", "manifest.csv:5"]
    assert records[0].cells["note"] == "two\nlines"


def test_paths_take_one_form(tmp_path: Path) -> None:
    text = "image\n./a.jpg\nb\\c.jpg\nd//e.jpg\n.hidden/f..jpg\n..g/h.jpg\n"
    images = [record.image for record in read_manifest(write(tmp_path, text))]
    assert images == ["a.jpg", "b/c.jpg", "d/e.jpg", ".hidden/f..jpg", "..g/h.jpg"]


@pytest.mark.parametrize(
    "path",
    ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "..\\x.jpg", "\\\\host\\share\\x.jpg", "C:\\x.jpg", "c:x.jpg", "a/.."],
)
def test_a_path_that_leaves_the_root_names_its_row(tmp_path: Path, path: str) -> None:
    refused(write(tmp_path, f"image\nok.jpg\n{path}\n"), "manifest.csv:3", "leaves")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["manifest.csv", "empty"]),
        ("\n\n", ["empty"]),
        ("image,label\n", ["no rows"]),
        ("picture,label\na.jpg,x\n", ["no column 'image'", "picture, label", "data.image"]),
        ("image,label,label\na.jpg,x,y\n", ["'label' stands twice"]),
        ("image,label\na.jpg,x\nb.jpg\n", ["manifest.csv:3", "2 cells", "got 1"]),
        ("image,label\na.jpg,x,y\n", ["manifest.csv:2", "2 cells", "got 3"]),
        ("image,label\na.jpg,x\nb.jpg,x\n./a.jpg,y\n", ["manifest.csv:4", "'a.jpg'", "manifest.csv:2"]),
        ("image,label\n ,x\n", ["manifest.csv:2", "empty cell"]),
        ('image,label\n"a.jpg,x\n', ["manifest.csv:2", "not valid CSV"]),
        ("image,label\na\0.jpg,x\n", ["manifest.csv:2", "zero byte"]),
        ("image,label\na.jpg,é\n".encode("latin-1"), ["manifest.csv", "UTF-8"]),
        ("image,label\na.jpg,x\n".encode("utf-16"), ["manifest.csv"]),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    refused(write(tmp_path, text), *words)


def test_missing_file_says_where_to_look(tmp_path: Path) -> None:
    refused(Data(root=tmp_path), str(tmp_path / "manifest.csv"), "No such file", "data.root")


def test_class_folders(tmp_path: Path) -> None:
    for name in ("nevus/b.JPG", "nevus/a.png", "melanoma/c.jpeg", "nevus/Thumbs.db", "nevus/._a.png", ".git/x.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    (tmp_path / "set" / "labels.csv").touch()
    records = read_manifest(Data(root=tmp_path, manifest="set", image="file"))
    assert [dict(record.cells) for record in records] == [
        {"file": "set/melanoma/c.jpeg", "label": "melanoma"},
        {"file": "set/nevus/a.png", "label": "nevus"},
        {"file": "set/nevus/b.JPG", "label": "nevus"},
    ]
    assert records[0].image == records[0].where == "set/melanoma/c.jpeg"


def test_split_folders(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "valid/a/1.png", "Test/b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    records = read_manifest(Data(root=tmp_path, manifest="."))
    assert [(record.image, record.cells["label"], record.cells["split"]) for record in records] == [
        ("Test/b/1.png", "b", "test"),
        ("train/a/1.png", "a", "train"),
        ("valid/a/1.png", "a", "valid"),
    ]


def test_folders_without_pictures_or_with_lost_ones(tmp_path: Path) -> None:
    refused(Data(root=tmp_path, manifest="."), str(tmp_path), "<class>/x.jpg")
    (tmp_path / "nevus" / "deeper").mkdir(parents=True)
    (tmp_path / "nevus" / "deeper" / "a.jpg").touch()
    refused(Data(root=tmp_path, manifest="."), "deeper", "lost")


def test_real_tables(shared: Path) -> None:
    sizes = {"ham10000_224": 999, "isic_uda1": 240, "ph2": 134, "idrid_codras": 270, "bccd": 220, "busi": 300}
    for name, num in sizes.items():
        records = read_manifest(Data(root=shared / "data" / name, manifest="labels.csv"))
        assert len(records) == num
        assert all(re.fullmatch(r"labels\.csv:\d+", record.where) for record in records)
        assert all(record.path.is_file() for record in records)
    folders = read_manifest(Data(root=shared / "data" / "busi", manifest="."))
    table = read_manifest(Data(root=shared / "data" / "busi", manifest="labels.csv"))
    assert {r.image: r.cells["label"] for r in table}.items() <= {r.image: r.cells["label"] for r in folders}.items()


def test_files_that_are_no_pictures_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    for name in ("a/clip.mov", "b/notes.txt"):
        (tmp_path / name).write_bytes(b"-")
    read_manifest(Data(root=tmp_path, manifest="."))
    assert caplog.messages == [f"{tmp_path}: passed over 1 files that are no pictures dermtl reads: clip.mov"]
