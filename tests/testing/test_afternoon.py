"""From wheels alone to a head of one's own that trains, is exported and predicts; no file of the core is touched.

A virtual environment of its own holds dermtl and its heads as wheels. What they need (torch and the like) it sees
through a path to this environment's packages, as fetching gigabytes would say nothing more.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "tests")
PARTS = ("", "plugins/classification", "plugins/regression", "plugins/segmentation")


def run(folder, *command):
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def environment(tmp_path):
    """The folder with programs of an environment with dermtl's wheels."""
    sources, wheels = tmp_path / "sources", tmp_path / "wheels"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (sources).mkdir(exist_ok=True)
        shutil.copy(ROOT / name, sources)
    for name in ("dermtl", "plugins"):
        shutil.copytree(ROOT / name, sources / name, ignore=LEFT_OUT)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    folders = [sources / part for part in PARTS]
    run(tmp_path, *pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, *folders)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(run(tmp_path, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    if (site / "setuptools").exists():
        run(tmp_path, *pip, "uninstall", "--quiet", "--yes", "setuptools")  # too old; a newer one lies beside
    install = (*pip, "install", "--quiet", "--no-deps")
    run(tmp_path, *install, "--ignore-installed", *sorted(wheels.glob("*.whl")))
    return python.parent


@pytest.mark.release
@pytest.mark.skipif(sys.platform == "win32", reason="folders of programs are named for POSIX")
def test_freckle(environment, tmp_path):
    core = Path(run(tmp_path, environment / "python", "-c", "import dermtl; print(dermtl.__file__)").strip()).parent
    assert core.is_relative_to(tmp_path), "dermtl is not the wheel's"
    before = digest(core)
    dermtl = environment / "dermtl"
    run(tmp_path, dermtl, "plugins", "new", "freckle", "--kind", "circle")
    install = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-build-isolation")
    run(tmp_path, environment / "python", *install, "-e", "dermtl-freckle")
    told = json.loads(run(tmp_path, dermtl, "plugins", "check", "freckle", "--strict", "--json"))
    assert (told["failed"], told["ran"]) == (0, told["checks"])
    run(tmp_path, dermtl, "data", "synth", "data", "--num", "40")
    run(tmp_path, dermtl, "train", "dermtl-freckle/configs/freckle.yaml", "--run", "run")
    run(tmp_path, dermtl, "export", "run", "--out", "freckle.onnx")
    run(tmp_path, dermtl, "predict", "freckle.onnx", "data/images", "--out", "freckle.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "freckle.jsonl").read_text().splitlines()]
    assert len(rows) == 40
    assert all("circle" in json.dumps(row["freckle"]) for row in rows)
    assert digest(core) == before, "a file of the core was touched"


def digest(folder):
    """Of the text of all modules."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))).hexdigest()
