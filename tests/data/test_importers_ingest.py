"""What holds for every importer: detection, paths, missing files, what is written and what is left alone."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dermtl.cli import dermtl
from dermtl.config.experiment import Data
from dermtl.data.importers import detect
from dermtl.data.importers.ingest import import_data
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import ManifestError, PluginContract, PluginNotFound
from dermtl.plugins.discovery import list_plugins
from dermtl.plugins.installed import entry_points_of

NAMES = {
    "class_folders", "table", "hugging_face", "isic_cli", "ham10000", "isic_2016", "isic_2017", "isic_2018",
    "isic_2019", "isic_outlines", "siim_isic_2020", "pad_ufes_20", "ph2", "medmnist", "coco", "nnunet", "monai",
}  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    for index, label in enumerate("aab"):
        path = folder / label / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), index, np.uint8)).save(path)
    return folder


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a distribution with one importer of the given source text."""

    def install(code: str, name: str = "clinic") -> None:
        folder = tmp_path / "site"
        info = folder / "clinic_import-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clinic-import\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dermtl.importers]\n{name} = clinic_import_{name}:importer\n")
        (folder / f"clinic_import_{name}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, f"clinic_import_{name}", raising=False)

    return install


def listed():
    return list_plugins("dermtl.importers", detect.describe_importer)


def test_every_importer_is_declared_and_fits() -> None:
    points = entry_points_of("dermtl.importers")
    assert points.keys() >= NAMES
    for named in points.values():
        importer = detect._load(named[0])
        assert importer.summary
        assert "\n" not in importer.summary


def test_importers_are_listed_whatever_state_they_are_in(plugin) -> None:
    plugin("class Importer:\n    name, summary = 'odd', 'of a\\ntest'\nimporter = Importer()", "odd")
    told = {listing.name: listing for listing in listed()}
    assert {told[name].state for name in NAMES} == {"ok"}
    assert (told["coco"].group, told["coco"].distribution) == ("dermtl.importers", "dermtl")
    assert (told["odd"].distribution, told["odd"].version, told["odd"].state) == (
        "clinic-import",
        "1.0",
        "broken",
    )
    assert "lacks recognises, read" in told["odd"].reason


@pytest.mark.parametrize("code", ["raise RuntimeError('torn\\napart')", "import sys; sys.exit(3)", "", "importer = 3"])
def test_a_broken_importer_is_listed_in_one_line(plugin, code: str) -> None:
    plugin(code)
    (listing,) = [listing for listing in listed() if listing.name == "clinic"]
    assert listing.state == "broken"
    assert listing.reason
    assert "\n" not in listing.reason


def test_two_importers_of_one_name_conflict(plugin) -> None:
    parts = "name, summary, recognises, read = 'coco', 'of a test', None, None"
    plugin(f"class Importer:\n    {parts}\nimporter = Importer()", "coco")
    (own, other) = sorted((listing for listing in listed() if listing.name == "coco"), key=lambda one: one.distribution)
    assert (own.distribution, own.state, other.distribution, other.state) == (
        "clinic-import", "conflict", "dermtl", "conflict"
    )  # fmt: skip


def test_the_lock_tells_where_it_came_from(source: Path) -> None:
    made = import_data(source)
    assert made.manifest == source / "manifest.csv"
    lock = json.loads((source / "manifest.lock.json").read_text())
    assert (lock["format"], lock["source"], lock["rows"]) == ("class_folders", ".", 3)
    assert lock["manifest"]["sha256"] == hashlib.sha256(made.manifest.read_bytes()).hexdigest()
    for name, digest in lock["files"].items():
        assert hashlib.sha256((source / name).read_bytes()).hexdigest() == digest
    assert len(lock["files"]) == 3
    assert str(source.parent) not in json.dumps(lock)


def test_the_same_source_gives_the_same_bytes(source: Path) -> None:
    files = [source / "manifest.csv", source / "manifest.lock.json"]
    import_data(source)
    first = [path.read_bytes() for path in files]
    import_data(source)
    assert [path.read_bytes() for path in files] == first


def test_out_above_the_pictures(source: Path) -> None:
    made = import_data(source, source.parent / "all.csv")
    assert (source.parent / "all.lock.json").is_file()
    records = read_manifest(Data(root=source.parent, manifest="all.csv"))
    assert all(record.path.is_file() for record in records)
    assert made.labels == {"a": 2, "b": 1}


def test_out_beside_the_pictures_is_refused(source: Path) -> None:
    with pytest.raises(ManifestError, match="folder above all pictures") as caught:
        import_data(source, source.parent / "elsewhere" / "manifest.csv")
    assert str(source.parent / "manifest.csv") in str(caught.value)
    assert not (source.parent / "elsewhere").exists()


def test_a_table_of_somebody_else_is_not_overwritten(source: Path) -> None:
    out = source.parent / "mine.csv"
    out.write_text("image\n")
    with pytest.raises(ManifestError, match="not written by an import"):
        import_data(source, out)
    assert out.read_text() == "image\n"
    import_data(source)
    with (source / "manifest.csv").open("a") as file:
        file.write("edited\n")
    with pytest.raises(ManifestError, match="edited since"):
        import_data(source)


def test_missing_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("1.png", "m.png"):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / name)
    rows = "1.png,m.png\n2.png,m.png\n3.png,\n"
    (tmp_path / "labels.csv").write_text("image,mask\n" + rows)
    with pytest.raises(ManifestError, match=r"2 files are missing, the first is .*2\.png.*--allow-missing"):
        import_data(tmp_path)
    assert not (tmp_path / "manifest.csv").exists()
    made = import_data(tmp_path, allow_missing=True)
    assert (made.num_rows, made.num_dropped) == (1, 2)
    assert "2 files are missing" in caplog.text


def test_a_missing_mask_empties_its_cell(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text("image,mask\n1.png,no.png\n")
    made = import_data(tmp_path, allow_missing=True)
    assert (made.num_rows, made.num_dropped) == (1, 0)
    (record,) = read_manifest(Data(root=tmp_path))
    assert record.text("mask") is None


@pytest.mark.parametrize("cell", ["../x.png", "/etc/hostname.png", "a/../../x.png"])
def test_a_path_cannot_leave(tmp_path: Path, cell: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "labels.csv").write_text(f"image\n{cell}\n")
    with pytest.raises(ManifestError, match="lies outside"):
        import_data(tmp_path / "set")


def test_a_picture_stands_once(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text("image\n1.png\n./1.png\n")
    with pytest.raises(ManifestError, match="stands in two rows"):
        import_data(tmp_path)


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_archives_are_left_packed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ManifestError, match="unpack it first"):
        import_data(tmp_path / name)


def test_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(ManifestError, match=r"none of the known formats: .*class_folders, coco.*--format"):
        import_data(tmp_path)
    with pytest.raises(ManifestError, match="no such file"):
        import_data(tmp_path / "nope")
    with pytest.raises(PluginNotFound, match=r"no importer named 'ham1000'.*did you mean 'ham10000'"):
        import_data(tmp_path, name="ham1000")


def test_several_know_it(source: Path) -> None:
    (source / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\nL,0,a\n")
    (source / "train.csv").write_text("image_name,patient_id,benign_malignant,target\n1,P,benign,0\n")
    with pytest.raises(ManifestError, match=r"recognised as ham10000 and as siim_isic_2020.*--format ham10000"):
        import_data(source)
    assert import_data(source, name="ham10000").num_rows == 1
    assert import_data(source, name="dermtl:class_folders").num_rows == 3


CLINIC = """
class Clinic:
    name = "clinic"
    summary = "our own"
    def recognises(self, source):
        return (source / "clinic.txt").is_file()
    def read(self, source):
        yield {"image": source / "a" / "0.png", "label": "x"}
importer = Clinic()
"""


def test_a_third_party_brings_its_own(source: Path, plugin) -> None:
    plugin(CLINIC)
    (source / "clinic.txt").touch()
    made = import_data(source)
    assert (made.format, made.labels) == ("clinic", {"x": 1})
    lock = json.loads(made.lock.read_text())
    assert lock["importer"] == {"plugin": "clinic", "distribution": "clinic-import", "version": "1.0"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "fails to import"),
        ("importer = object()", "lacks name"),
        (CLINIC.replace('"clinic"', '"other"'), "is named 'other'"),
    ],
)
def test_a_broken_one_harms_nobody(
    source: Path, plugin, code: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """tests/plugins/test_broken_importers.py has those that hang or end the process."""
    plugin(code, "broken" if "clinic" not in code else "clinic")
    assert import_data(source).format == "class_folders"
    assert "passed over" in caplog.text
    with pytest.raises(PluginContract, match=words):
        import_data(source, name="broken" if "clinic" not in code else "clinic")


def test_the_command(source: Path) -> None:
    result = CliRunner().invoke(dermtl, ["data", "import", str(source)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "3 pictures in" in result.output
    assert "a 2, b 1" in result.output
    result = CliRunner().invoke(dermtl, ["data", "import", str(source), "--json"], catch_exceptions=False)
    shown = json.loads(result.stdout)
    assert (shown["num_rows"], shown["format"], shown["labels"]) == (3, "class_folders", {"a": 2, "b": 1})
    assert shown["columns"] == ["image", "label"]


def test_nothing_is_drawn_for_a_missing_picture(source: Path, plugin) -> None:
    code = CLINIC.replace("yield {", "from dermtl.data.importers.importer import RenderedImage\n        yield {")
    drawn = '"mask": RenderedImage("m/1", lambda: 1 / 0), "image": source / "no.png"'
    plugin(code.replace('"image": source / "a" / "0.png"', drawn))
    with pytest.raises(ManifestError, match="holds no pictures"):
        import_data(source, name="clinic", allow_missing=True)
    assert not (source / "manifest.files").exists()


def test_two_pictures_cannot_be_drawn_to_one_file(source: Path, plugin) -> None:
    code = """
import numpy as np
from dermtl.data.importers.importer import RenderedImage
class Clinic:
    name, summary = "clinic", "our own"
    def recognises(self, source):
        return True
    def read(self, source):
        for index in range(2):
            mask = RenderedImage("m", lambda: np.zeros((4, 5), np.uint8))
            yield {"image": source / "a" / f"{index}.png", "mask": mask}
importer = Clinic()
"""
    plugin(code)
    with pytest.raises(ManifestError, match=r"manifest.files/m.png' stands in two rows"):
        import_data(source)


def test_a_table_in_another_encoding_is_told(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "1.png")
    (tmp_path / "metadata.jsonl").write_bytes(
        b'{"file_name": "1.png"}\n' + '{"file_name": "é.png"}\n'.encode("latin-1")
    )
    with pytest.raises(ManifestError, match="not UTF-8"):
        import_data(tmp_path)
