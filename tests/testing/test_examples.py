"""The distributions in examples/: the core knows none of them, and each goes the whole way on real pictures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {"ordinal": "ordinal", "landmarks": "landmarks", "attention-pool": "attention_pool"}
PREDICT = """
import json, sys
for name in ("torch", "timm", {package!r}): sys.modules[name] = None
import dermtl
print(json.dumps(dermtl.load({model!r}).predict({picture!r}).to_json()))
"""
SHORT = ("training.stages=[{epochs: 1, lr: 1e-3}]", "backbone.image_size=96", "training.workers=0",
         "training.accelerator=cpu")  # fmt: skip


@pytest.fixture(params=EXAMPLES)
def example(request, tmp_path, monkeypatch):
    """An example, installed for the processes this test starts; its folder and its head's name."""
    folder, name = ROOT / "examples" / request.param, EXAMPLES[request.param]
    info = tmp_path / "installed" / f"dermtl_{name}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dermtl-{request.param}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[dermtl.heads]\n{name} = dermtl_{name}.spec:{name}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(info.parent)]))
    return folder, name


def run(folder, *arguments, timeout=280):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_the_kit_passes(example, tmp_path):
    told = json.loads(run(tmp_path, "-m", "dermtl", "plugins", "check", example[1], "--strict", "--json"))
    assert (told["failed"], told["ran"]) == (0, told["checks"])


@pytest.mark.slow
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


def test_nothing_but_the_api_is_imported_and_the_core_names_none(example):
    folder, name = example
    for path in folder.glob("dermtl_*/*.py"):
        imported = re.findall(r"^\s*(?:from|import) (dermtl(?:\.\w+)*)\b(?!_)", path.read_text(), flags=re.MULTILINE)
        assert set(imported) <= {"dermtl.api"}, path
    core = [path for path in (ROOT / "dermtl").rglob("*.py") if f"dermtl_{name}" in path.read_text()]
    assert not core
