"""Throw-away distributions: a folder with a dist-info and modules, put on the path."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SPEC = """
from dermtl.api import HeadSpec
spec = HeadSpec({name!r}, summary={summary!r}, config={config!r}, head="no:Head", metrics={metrics!r}, api={api!r})
"""
CONTRACT = "dermtl.plugins.contract"
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution for this test: here, and in every process it starts."""

    def put(
        distribution: str,
        plugins: Mapping[str, str],
        modules: Mapping[str, str],
        *,
        metadata: bool = True,
        group: str = "dermtl.heads",
    ) -> Path:
        folder = tmp_path / distribution
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" if target else name for name, target in plugins.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text)
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        return folder

    return put


@pytest.fixture
def five_broken(install: Install) -> list[str]:
    """Names of five plugins, each broken in its own way."""
    install("raises", {"raises": "brk_raises:spec"}, {"brk_raises": "raise RuntimeError('no API key\\nof yours')"})
    install("exits", {"exits": "brk_exits:spec"}, {"brk_exits": "import sys; sys.exit(3)"})
    install("absent", {"absent": "brk_absent:spec"}, {})
    install("future", {"future": "brk_future:spec"}, {"brk_future": head_spec("future", api=(9, 0))})
    install("stranger", {"stranger": "brk_stranger:spec"}, {"brk_stranger": "spec = 'no spec'"})
    return ["raises", "exits", "absent", "future", "stranger"]


def head_spec(
    name: str, *, config: str = f"{CONTRACT}:HeadConfig", api: object = (2, 0), summary: str = "a test's head"
) -> str:
    return SPEC.format(name=name, summary=summary, config=config, metrics=f"{CONTRACT}:Metrics", api=api)


@pytest.fixture(scope="session")
def spec_text() -> Callable[..., str]:
    """The text of a module with a spec."""
    return head_spec


@pytest.fixture(scope="session")
def dermtl_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m dermtl`` as users do, warnings on."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dermtl", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run
