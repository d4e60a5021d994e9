"""Checks of imports: the spec is fast to import, and the plugin imports only the public modules of dermtl."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from dermtl.plugins.discovery import resolve
from dermtl.testing.assertions import check
from dermtl.testing.head_under_test import HeadUnderTest

SPEC_S = 0.3
_HEAVY = ("torch", "numpy", "pydantic", "timm", "albumentations", "onnxruntime")
_SPEC = """
import sys, time
for name in {heavy!r}: sys.modules[name] = None
import dermtl.api
begun = time.process_time()
from {module} import {attribute}
print(time.process_time() - begun)
"""
_PARTS = """
import sys
for name in ("torch", "timm", "albumentations"): sys.modules[name] = None
from dermtl.plugins.discovery import resolve
config = resolve({config!r}, "config").example()
config.target(), config.outputs()
resolve({metrics!r}, "metrics")
"""
_PUBLIC = ("dermtl.api", "dermtl.statistics", "dermtl.taxonomy", "dermtl.testing")


class ImportChecks:
    """Checks of the spec and the modules it names."""

    subject: HeadUnderTest

    def test_spec_imports_at_once_and_without_torch(self) -> None:
        """The spec imports in under 0.3 s with torch, NumPy and pydantic blocked."""
        module, _, attribute = self.subject.point.value.partition(":")
        text = _SPEC.format(heavy=_HEAVY, module=module.strip(), attribute=attribute.partition("[")[0].strip())
        spent = float(_python(text, "the spec does not import without torch, NumPy and pydantic"))
        check(spent < SPEC_S, f"importing the spec takes {spent:.2f} s of processor time, allowed are {SPEC_S} s")

    def test_config_and_metrics_need_no_torch(self) -> None:
        """Config and metrics import and work without torch."""
        text = _PARTS.format(config=self.subject.spec.config, metrics=self.subject.spec.metrics)
        _python(text, "config or metrics need torch")

    def test_spec_is_complete(self) -> None:
        """The spec has a summary of one line, and its parts can be imported."""
        spec = self.subject.spec
        check(spec.summary.strip() and "\n" not in spec.summary, "the spec's summary is not one line")
        for dotted in (spec.config, spec.head, spec.metrics):
            resolve(dotted, spec.name)

    def test_imports_only_the_api(self) -> None:
        """The plugin imports only dermtl.api, dermtl.statistics and dermtl.taxonomy of dermtl."""
        for path in _sources(self.subject.spec.head.partition(":")[0]):
            for line, module in _imports(path):
                if module == "dermtl" or module.startswith("dermtl."):
                    public = ", ".join(_PUBLIC)
                    check(module in _PUBLIC, f"{path.name}:{line} imports {module}; plugins import {public} alone")


def _python(text: str, complaint: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=120)
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    check(done.returncode == 0, f"{complaint}: {last}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def _sources(module: str) -> list[Path]:
    """The files of the distribution's package, or its only module."""
    found = find_spec(module.partition(".")[0])
    if found is None:
        return []
    if found.submodule_search_locations:
        return [path for place in found.submodule_search_locations for path in sorted(Path(place).rglob("*.py"))]
    return [Path(found.origin)] if found.origin else []


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every imported module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "dermtl":
                yield from ((node.lineno, f"dermtl.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module
