"""The public modules: one contract, complete, light to import, and clear about names that moved."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dermtl import api, statistics, taxonomy

ROOT = Path(__file__).parents[1]
PUBLIC = {"dermtl.api": api, "dermtl.statistics": statistics, "dermtl.taxonomy": taxonomy}


def test_type_checkers_see_the_names_that_run():
    tree = ast.parse(Path(api.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported - {"TYPE_CHECKING", "Any", "import_module"} == set(api.__all__)
    assert all(getattr(api, name) is not None for name in api.__all__)


@pytest.mark.parametrize("module", PUBLIC)
def test_the_documentation_lists_every_public_name(module):
    (row,) = [
        line for line in (ROOT / "docs/plugins.md").read_text().splitlines() if line.startswith(f"| `{module}` |")
    ]
    listed = row.split("|")[2].split("`")[1::2]
    assert sorted(listed) == sorted(PUBLIC[module].__all__)


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_imports_no_torch_and_no_yaml(module):
    code = (
        f"import sys, {module}; print([name for name in ('torch', 'timm', 'pydantic', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_moved_says_where_it_is():
    with pytest.raises(ImportError, match=r"Confusion has left dermtl\.api: from dermtl\.statistics import Confusion"):
        from dermtl.api import Confusion  # noqa: F401
    with pytest.raises(ImportError, match=r"from dermtl\.taxonomy import find_node"):
        from dermtl.api import node_of  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'Confusino'"):
        from dermtl.api import Confusino  # noqa: F401
