"""Predicting leaves nothing below the home folder: the telemetry of ONNX Runtime's wheels is off before it starts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PLAIN = """
import sys, onnxruntime
onnxruntime.InferenceSession(sys.argv[1])
"""
LIBRARY = """
import sys, dermtl
print(dermtl.load(sys.argv[1]).predict(sys.argv[2]).to_json())
"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path)
    return path


def files_at_home(folder: Path, *arguments: object, **environment: str) -> list[str]:
    """What a Python process leaves in a home folder that was empty."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    places = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**kept, **places, "HOME": str(home), "TMPDIR": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


@pytest.fixture
def wheel_has_telemetry(model_path: Path, tmp_path: Path) -> None:
    """Without this, the tests would show nothing."""
    (tmp_path / "plain").mkdir()
    if not files_at_home(tmp_path / "plain", "-c", PLAIN, model_path):
        pytest.skip("this ONNX Runtime writes nothing by itself")


@pytest.mark.usefixtures("wheel_has_telemetry")
@pytest.mark.parametrize(
    "arguments",
    [("-m", "dermtl", "predict"), ("-c", LIBRARY), (ROOT / "deploy" / "plain_onnxruntime.py",)],
    ids=["command", "library", "plain script"],
)
def test_a_session_leaves_no_file_at_home(
    arguments: tuple[object, ...], model_path: Path, picture: Path, tmp_path: Path
) -> None:
    assert files_at_home(tmp_path, *arguments, model_path, picture) == []


@pytest.mark.parametrize("said", ["", "0"])
def test_what_the_environment_says_stays(said: str) -> None:
    code = "import dermtl, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "ORT_DISABLE_TELEMETRY": said}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == said
