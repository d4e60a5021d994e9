"""What a run notes of the packages that it ran with."""

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

from dermtl.training.provenance import version_of

ROOT = Path(__file__).parents[2]
FACTS = """
from dermtl.training.provenance import version_of
print(version_of("onnxruntime"))
"""


def test_versions_are_those_of_the_distributions() -> None:
    assert version_of("numpy") == version("numpy")
    assert version_of("no-such-package") == "absent"


def test_onnxruntime_gpu_stands_in_for_onnxruntime(tmp_path: Path) -> None:
    """An environment of links to this one's packages, where another distribution brings the module."""
    installed = Path(sysconfig.get_path("purelib"))
    for entry in installed.iterdir():
        if not entry.name.startswith("onnxruntime-"):
            (tmp_path / entry.name).symlink_to(entry)
    twin = tmp_path / "onnxruntime_gpu-1.2.3.dist-info"
    twin.mkdir()
    (twin / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.2.3\n")
    (twin / "top_level.txt").write_text("onnxruntime\n")
    done = subprocess.run(
        [getattr(sys, "_base_executable", sys.executable), "-S", "-c", FACTS],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "onnxruntime-gpu 1.2.3"
