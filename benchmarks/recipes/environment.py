"""A virtual environment of fastai's own, with the versions of constraints.txt."""

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = "fastai-env"
DONE = "installed.txt"  # what is in it, written last
PACKAGES = ("fastai", "timm", "scikit-learn", "safetensors")


def fastai_python(out: Path) -> Path:
    """The interpreter of ``OUT/fastai-env``, which is made if it is not there."""
    folder = out / FOLDER
    python = folder / "bin" / "python"
    if not installed(out):
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt", *PACKAGES]
        subprocess.run(command, check=True, stdout=sys.stderr)
        listed = subprocess.run([str(python), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
        (folder / DONE).write_text(listed.stdout)
    return python


def installed(out: Path) -> bool:
    """Whether the environment is there, complete."""
    return (out / FOLDER / DONE).exists()
