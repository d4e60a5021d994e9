"""``pip install dermtl`` without any extra: predicts, and has no torch."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.release
REPOSITORY = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "tests")
EXPERIMENT = """
name: x
data: {root: data}
backbone: {name: resnet18}
heads: {diagnosis: {type: classification}}
training: {stages: [{epochs: 1, lr: 1e-3}]}
"""


class Deployed:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.folder = folder

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / program), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=self.folder)

    def pip(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Built from a copy of the sources, so that no build folder is left among them."""
    sources = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, sources)
    for name in ("dermtl", "plugins/classification"):
        shutil.copytree(REPOSITORY / name, sources / name, ignore=LEFT_OUT)
    environment = Deployed(tmp_path_factory.mktemp("venv"))
    if environment.pip("click").returncode != 0:
        pytest.skip("pip reaches no package index")
    done = environment.pip("--constraint", REPOSITORY / "constraints.txt", sources)
    assert done.returncode == 0, done.stderr
    done = environment.pip("--no-deps", sources / "plugins" / "classification")
    assert done.returncode == 0, done.stderr
    return environment


def test_no_torch_and_little_else(deployed):
    installed = {
        row["name"].lower()
        for row in json.loads(deployed.run("python", "-m", "pip", "list", "--format", "json").stdout)
    }
    assert {"dermtl", "numpy", "onnxruntime", "pillow"} <= installed
    assert not installed & {"torch", "torchvision", "timm", "albumentations", "opencv-python-headless", "scipy", "onnx"}


def test_help_and_plugins(deployed):
    assert deployed.run("dermtl", "--help").returncode == 0
    listed = deployed.run("dermtl", "plugins", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert [row[0] for row in rows if row[1] == "dermtl.heads"] == ["classification", "tags"]
    assert ["coco", "dermtl.importers", "dermtl"] in [row[:3] for row in rows]
    assert "broken" not in listed.stdout


def test_presets_are_in_the_wheel(deployed, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("extends: five_step\nheads: {diagnosis: {type: classification}}\n")
    done = deployed.run("dermtl", "config", "show", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "train: last:4" in done.stdout


def test_predict(deployed, tiny_model, drawn, tmp_path):
    model = Path(shutil.copy(tiny_model, tmp_path))
    done = deployed.run("dermtl", "predict", model, drawn / "images", "--overlay", tmp_path / "overlays")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 24
    picture = drawn / "images" / "00000.jpg"
    code = (
        "import dermtl, importlib.util; "
        f"p = dermtl.load({str(model)!r}).predict({str(picture)!r}); "
        "print(p['diagnosis']['label'], p['outline.mask'].shape[1:] == p.image_hw, importlib.util.find_spec('torch'))"
    )
    done = deployed.run("python", "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [rows[0]["diagnosis"]["label"], "True", "None"]


def test_verify(deployed, tiny_model):
    done = deployed.run("dermtl", "verify", tiny_model)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("train", "x.yaml"), ("export", "run"), ("model", "show", "resnet18")])
def test_what_needs_torch_says_what_to_install(deployed, arguments):
    (deployed.folder / "x.yaml").write_text(EXPERIMENT, encoding="utf-8")
    done = deployed.run("dermtl", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: this needs ")
    assert "pip install 'dermtl[train]'" in line
