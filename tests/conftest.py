"""What several test files need: the real pictures, and a small drawn set."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and weights beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the real pictures in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def cpu_s() -> Callable[..., float]:
    """Runs Python with some arguments, to exit code 0; its processor time in seconds."""
    if not hasattr(os, "wait4"):
        pytest.skip("needs the processor time of a child")

    def run(*arguments: str) -> float:
        with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime

    return run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 24 drawn lesions with a manifest; not to be written to."""
    from dermtl.data.synthetic.dataset import synthesise

    return synthesise(tmp_path_factory.mktemp("drawn"), num=24).parent
