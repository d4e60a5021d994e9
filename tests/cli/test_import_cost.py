"""Asking for help must stay cheap: it is what shell completion and every first try do."""

import statistics
import subprocess
import sys

import pytest

HEAVY = ("torch", "timm", "albumentations", "onnxruntime", "numpy", "pydantic", "PIL", "yaml", "rich", "onnx")
IMPORTED = """
import sys
sys.argv = ["dermtl", *sys.argv[1:]]
from dermtl.cli import main
try:
    main()
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""


def imported(*arguments):
    command = [sys.executable, "-c", IMPORTED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    assert not imported(*arguments) & set(HEAVY)


@pytest.mark.parametrize("arguments", [["train", "nothing.yaml"], ["train", "nothing"], ["init", "nothing"]])
def test_a_wrong_path_is_found_before_torch_is_imported(arguments):
    assert not imported(*arguments) & {"torch", "timm", "albumentations", "onnxruntime"}


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, dermtl, dermtl.api; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & set(HEAVY)


def test_help_costs_a_few_times_an_empty_interpreter(cpu_s):
    """Processor time, not wall time, and runs in turn: other work on the machine hits both alike."""
    runs = [(cpu_s("-c", "pass"), cpu_s("-m", "dermtl", "--help")) for _ in range(7)]
    ratio = statistics.median(help_s for _, help_s in runs) / statistics.median(empty_s for empty_s, _ in runs)
    assert ratio <= 6
