import subprocess
import sys

SPEC = """
import sys
from dermtl_regression.spec import circle, number
heavy = {"torch", "numpy", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""
PARTS = """
import sys
sys.modules["torch"] = None
from importlib import import_module
from dermtl_regression.spec import circle, number
for spec in (circle, number):
    for dotted in (spec.config, spec.metrics):
        module, _, name = dotted.partition(":")
        assert isinstance(getattr(import_module(module), name), type)
"""


def _run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_spec_costs_nothing():
    done = _run(SPEC)
    assert done.returncode == 0, done.stderr


def test_config_and_metrics_need_no_torch():
    done = _run(PARTS)
    assert done.returncode == 0, done.stderr
