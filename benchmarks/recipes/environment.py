"""A virtual environment of fastai's own, with the versions of constraints.txt."""

import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ("fastai", "timm", "scikit-learn", "safetensors")


def fastai_python(out: Path) -> Path:
    """The interpreter of ``OUT/fastai-env``, which is made if it is not there."""
    folder = out / "fastai-env"
    python = folder / "bin" / "python"
    done = folder / "installed.txt"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt", *PACKAGES]
        subprocess.run(command, check=True, stdout=sys.stderr)
        listed = subprocess.run([str(python), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
        done.write_text(listed.stdout)
    return python
