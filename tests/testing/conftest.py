"""Heads as ``dermtl plugins new`` makes them, on the path of this process and of those it starts."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from dermtl.plugins.scaffold import render
from dermtl.testing.head_under_test import HeadUnderTest

Make = Callable[..., str]


@pytest.fixture
def make_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Render a head and install it for this test; ``edits`` replace text in its files."""

    def make(
        name: str,
        kind: str,
        edits: Mapping[str, tuple[str, str]] | None = None,
        append: Mapping[str, str] | None = None,
        *,
        torch: bool = False,
    ) -> str:
        folder = tmp_path / name
        render(name, kind, folder)
        for file, (old, new) in (edits or {}).items():
            path = folder / f"dermtl_{name}" / f"{file}.py"
            text = path.read_text()
            assert text.count(old) == 1, f"{file}: {text.count(old)} times {old!r}"
            path.write_text(text.replace(old, new))
        for file, text in (append or {}).items():
            path = folder / f"dermtl_{name}" / f"{file}.py"
            path.write_text(("import torch\n" if torch else "") + path.read_text() + text)
        info = folder / f"dermtl_{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dermtl-{name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[dermtl.heads]\n{name} = dermtl_{name}.spec:{name}\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        return name

    yield make
    for module in [module for module in sys.modules if module.startswith("dermtl_zq")]:
        del sys.modules[module]


@pytest.fixture(scope="session")
def kit_manifest() -> Iterator[Path]:
    """The kit's drawn set, made once."""
    subject = HeadUnderTest("circle")
    yield subject.manifest
    subject.close()


@pytest.fixture
def drawn_once(kit_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all heads be tried with one drawn set."""
    monkeypatch.setattr(HeadUnderTest, "manifest", kit_manifest)
