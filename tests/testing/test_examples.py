"""The distributions in examples/: the core knows none of them, and each goes the whole way on real pictures."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLIC = {"dermtl.api", "dermtl.statistics", "dermtl.taxonomy", "dermtl.testing", "dermtl.testing.graph"}
EXAMPLES = {"ordinal": "ordinal", "landmarks": "landmarks", "attention-pool": "attention_pool"}
PREDICT = """
import json, sys
for name in ("torch", "timm", {package!r}): sys.modules[name] = None
import dermtl
print(json.dumps(dermtl.load({model!r}).predict({picture!r}).to_json()))
"""
SHORT = ("training.stages=[{epochs: 1, lr: 1e-3}]", "backbone.image_size=96", "training.workers=0",
         "training.accelerator=cpu")  # fmt: skip


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Install an example, by its folder, for the processes this test starts."""

    def install(folder):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = tmp_path / "installed" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        groups = {group: [f"{n} = {v}" for n, v in points.items()] for group, points in project["entry-points"].items()}
        lines = [line for group, points in groups.items() for line in (f"[{group}]", *points)]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(info.parent)]))

    return install


@pytest.fixture(params=EXAMPLES)
def example(request, put):
    """An example, installed for the processes this test starts; its folder and its head's name."""
    folder = ROOT / "examples" / request.param
    put(folder)
    return folder, EXAMPLES[request.param]


def run(folder, *arguments, timeout=280):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.release
def test_the_kit_passes(example, tmp_path):
    told = json.loads(run(tmp_path, "-m", "dermtl", "plugins", "check", example[1], "--strict", "--json"))
    assert (told["failed"], told["ran"]) == (0, told["checks"])


@pytest.mark.release
def test_the_whole_way_on_real_pictures(example, shared, tmp_path, monkeypatch):
    folder, name = example
    monkeypatch.setenv("DERMTL_DATA", str(shared / "data"))
    monkeypatch.setenv("DERMTL_WEIGHTS", str(shared / "weights"))
    overrides = [part for override in SHORT for part in ("-o", override)]
    (config,) = folder.glob("*.yaml")
    run(tmp_path, "-m", "dermtl", "train", config, "--run", "run", *overrides)
    run(tmp_path, "-m", "dermtl", "evaluate", "run")
    (head,) = json.loads((tmp_path / "run/evaluation/test/metrics.json").read_text())["heads"].values()
    assert any(isinstance(figure, dict) and figure.get("low") is not None for figure in head.values()), head
    run(tmp_path, "-m", "dermtl", "export", "run", "--out", "model.onnx")
    run(tmp_path, "-m", "dermtl", "verify", "model.onnx")
    picture = next((shared / "data").glob("ph2/images/*.jpg"))
    monkeypatch.delenv("PYTHONPATH")
    text = PREDICT.format(package=f"dermtl_{name}", model="model.onnx", picture=str(picture))
    assert json.loads(run(tmp_path, "-c", text))


def test_an_example_brings_a_command(put, tmp_path):
    put(ROOT / "examples" / "landmarks")
    assert "axis-lengths  Brought by dermtl-landmarks." in run(tmp_path, "-m", "dermtl", "--help")
    row = {"image": "a.jpg", "width": 9, "height": 9, "extent": {"points": {"upper": [1, 2], "lower": [4, 6]}}}
    (tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n")
    assert run(tmp_path, "-m", "dermtl", "axis-lengths", "p.jsonl") == "a.jpg  extent  5.0 px\n"


@pytest.mark.parametrize("folder", [*sorted((ROOT / "examples").glob("*/")), *sorted((ROOT / "plugins").glob("*/"))])
def test_tests_import_nothing_but_the_api_and_the_kit(folder):
    """The packages themselves are seen by import-linter, which sees no folder of tests."""
    for path in folder.glob("tests/**/*.py"):
        imported = re.findall(r"^\s*(?:from|import) (dermtl(?:\.\w+)*)\b(?!_)", path.read_text(), flags=re.MULTILINE)
        assert set(imported) <= PUBLIC, path


@pytest.mark.parametrize(
    ("file", "folder"), [("examples/importlinter.toml", "examples"), ("pyproject.toml", "plugins")]
)
def test_the_contracts_of_imports_leave_no_distribution_out(file, folder):
    linter = tomllib.loads((ROOT / file).read_text())["tool"]["importlinter"]
    packages = {path.parent.name for path in (ROOT / folder).glob("*/dermtl_*/spec.py")}
    assert set(linter["root_packages"]) == packages | {"dermtl"}
    (contract,) = [contract for contract in linter["contracts"] if "see only dermtl.api" in contract["name"]]
    assert set(contract["source_modules"]) == packages
    assert contract["forbidden_modules"] == ["dermtl"]
    public = {f"** -> dermtl.{module}" for module in ("api", "statistics", "taxonomy")}
    assert set(contract["ignore_imports"]) <= public


def test_the_core_names_no_example(example):
    core = [path for path in (ROOT / "dermtl").rglob("*.py") if f"dermtl_{example[1]}" in path.read_text()]
    assert not core
