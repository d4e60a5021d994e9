"""What a user gets wrong: exit code 2, one line that says where and what next, and nothing half-written."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn set to spoil."""
    return Path(shutil.copytree(drawn, tmp_path / "data"))


def change(data: Path, row: int, **cells: str) -> None:
    """Change cells of a data row, counted from 0."""
    with (data / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[row] |= cells
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def refused(done, run: Path, *words: str) -> None:
    assert (done.code, done.out) == (2, ""), done
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert not run.exists()


TYPOS = [
    ("batch_size: 8", "batchsize: 8", "tiny.yaml:10:3: training.batchsize: unknown key; did you mean 'batch_size'?"),
    ("lr: 1e-3", "lrr: 1e-3", "tiny.yaml:9:24: training.stages.0.lrr: unknown key; did you mean 'lr'?"),
    ("classes: [lesion]", "clases: [lesion]", "tiny.yaml:7:33: heads.outline.clases: unknown key; did you mean 'clas"),
    ("type: circle", "type: cirkle", "tiny.yaml:6:12: no head named 'cirkle'"),
    ("batch_size: 8", "batch_size: eight", "tiny.yaml:10:3: training.batch_size: "),
    ("name: tiny", "name: Tiny one", "tiny.yaml:1:1: name: "),
    ("test_resnet", "test_resnett", "tiny.yaml:3:12: backbone.name: timm knows no model 'test_resnett'"),
    ("heads:", "heads: [", "tiny.yaml:"),
    ("pretrained: false", "pretrained: no_such.safetensors", "tiny.yaml:3:31: backbone.pretrained: no such file"),
    ("pretrained: false", "pretrained: tiny.yaml", "backbone.pretrained: "),
    ("augmentation: light", "augmentation: lite", "tiny.yaml:12:3: "),
    ("augmentation: light", "augmentation: [{Flipp: {}}]", "Flipp"),
    ("augmentation: light", "augmentation: [{Affine: {shear: [20, 20], p: 1}}]", "circles into ellipses"),
    ("stages: [{epochs: 1", "stages: [{train: 'last:99', epochs: 1", "training.stages.0.train"),
    ("lr: 1e-3", "lr: 1e-3, optimizer: adamww", "adamww"),
    ("lr: 1e-3", "lr: 1e-3, schedule: cosinus", "cosinus"),
    ("workers: 0", "accelerator: cuda", "cuda"),
    ("workers: 0", "accelerator: gpuu", "gpuu"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), TYPOS, ids=[new for _, new, _ in TYPOS])
def test_a_mistake_in_the_file(call, tiny_config, tmp_path, old, new, words):
    config = tmp_path / "tiny.yaml"
    assert old in tiny_config.read_text()
    config.write_text(tiny_config.read_text().replace(old, new))
    refused(call("train", config, "--run", tmp_path / "run"), tmp_path / "run", words)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.seeed=1", "-o training.seeed=1: training.seeed: unknown key; did you mean 'seed'?"),
        ("training.stages.4.lr=1", "training.stages.4.lr: expected an index below 1"),
        ("training.batch_size=many", "-o training.batch_size=many: training.batch_size: "),
        ("training", "expected key=value, got 'training'"),
        ("heads.diagnosis.column=diagnose", "no column 'diagnose'"),
        ("heads.extent.r=radius", "no column 'radius'"),
        ("heads.outline.column=masks", "no column 'masks'"),
        ("heads.diagnosis.classes=[nevus, melanoma]", "unknown class 'keratosis'"),
        ("data.group=eye", "no column 'eye'"),
        ("data.image=file", "no column 'file'"),
        ("data.manifest=labels.csv", "labels.csv: cannot read the table"),
        ("data.root=/no/such/folder", "/no/such/folder/manifest.csv: cannot read the table"),
        ("data.split={train: 0.5, val: 0.1, test: 0.1}", "train + val + test must be 1"),
        ("data.split.column=sex", "expected train, val or test"),
    ],
)
def test_a_wrong_override(call, tiny_config, tmp_path, override, words):
    done = call("train", tiny_config, "-o", override, "--run", tmp_path / "run")
    refused(done, tmp_path / "run", words)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"image": "images/lost.jpg"}, ("manifest.csv:4", "images/lost.jpg: no such file")),
        ({"image": "../lost.jpg"}, ("manifest.csv:4", "leaves the data's root")),
        ({"image": "images/00000.jpg"}, ("manifest.csv:4", "stands already at manifest.csv:2")),
        ({"cx": "-3"}, ("manifest.csv:4", "lies outside the image of ")),
        ({"r": "0"}, ("manifest.csv:4", "expected a radius above 0")),
        ({"cy": ""}, ("manifest.csv:4", "expected all of cx, cy, r or none")),
        ({"cy": "ten"}, ("manifest.csv:4", "column 'cy': expected a number, got 'ten'")),
        ({"mask": "masks/lost.png"}, ("manifest.csv:4", "masks/lost.png")),
        ({"mask": "masks/00000.png"}, ("manifest.csv:4", "mask")),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_mistake_in_the_table(call, tiny_config, data, tmp_path, cells, words):
    change(data, 2, **cells)
    done = call("train", tiny_config, "-o", f"data.root={data}", "--run", tmp_path / "run")
    refused(done, tmp_path / "run", *words)


def test_a_torn_picture_and_a_torn_mask(call, tiny_config, data, tmp_path):
    for name in ("images/00003.jpg", "masks/00005.png"):
        file = data / name
        file.write_bytes(file.read_bytes()[:300])
    done = call("train", tiny_config, "-o", f"data.root={data}", "--run", tmp_path / "run")
    refused(done, tmp_path / "run", "manifest.csv:")


def test_several_mistakes_are_told_at_once(call, tiny_config, tmp_path):
    done = call("train", tiny_config, "-o", "training.seeed=1", "-o", "backbone.imagesize=3", "--run", tmp_path / "run")
    assert done.code == 2
    assert [line.rpartition(": ")[0].split(": ")[-1] for line in done.err.splitlines()] == [
        "backbone.imagesize",
        "training.seeed",
    ]


def test_a_variable_that_is_not_set(call, tiny_config, tmp_path, monkeypatch):
    monkeypatch.delenv("DERMTL_NOWHERE", raising=False)
    done = call("train", tiny_config, "-o", "data.root=${DERMTL_NOWHERE}/x", "--run", tmp_path / "run")
    refused(done, tmp_path / "run", "the environment variable DERMTL_NOWHERE is not set")


@pytest.mark.parametrize(
    ("name", "words"), [("absent.yaml", "cannot read the experiment file"), ("folder", "none of the known formats")]
)
def test_no_experiment_file_and_no_pictures(call, tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    refused(call("train", tmp_path / name, "--run", tmp_path / "run"), tmp_path / "run", words)


def test_a_folder_in_use_and_a_file_in_its_place(call, tiny_config, tmp_path):
    used = tmp_path / "used"
    used.mkdir()
    (used / "notes.txt").write_text("mine")
    done = call("train", tiny_config, "--run", used)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "exists already" in done.err
    assert [path.name for path in used.iterdir()] == ["notes.txt"]
    done = call("train", tiny_config, "--run", used / "notes.txt")
    assert done.code == 2
    assert "notes.txt" in done.err
    assert (used / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [("export", "X"), ("evaluate", "X"), ("evaluate", "x.onnx"), ("verify", "x.onnx"), ("verify", "X"),
     ("predict", "x.onnx", "a.jpg"), ("config", "show", "x.yaml"), ("export", "absent")],
)  # fmt: skip
def test_the_other_commands_on_what_is_not_there(call, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "X").mkdir()
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["X"]


def test_debug_adds_the_traceback(call, tmp_path):
    plain = call("config", "show", tmp_path / "absent.yaml")
    told = call("--debug", "config", "show", tmp_path / "absent.yaml")
    assert "Traceback" not in plain.err
    assert told.err.startswith("Traceback (most recent call last)")
    assert "read_source" in told.err
    assert (plain.code, told.code) == (2, 2)
    assert told.err.splitlines()[-1] == plain.err.strip()


@pytest.mark.slow
def test_in_a_process_of_its_own(tiny_config, tmp_path):
    command = [
        sys.executable,
        "-m",
        "dermtl",
        "train",
        tiny_config,
        "-o",
        "heads.extent.r=radius",
        "--run",
        tmp_path / "run",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: manifest.csv:2: no column 'radius'")
    assert not (tmp_path / "run").exists()
