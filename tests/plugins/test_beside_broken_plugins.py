"""Every core command beside plugins of every group that raise, end the process, hang, are absent or of another API."""

import csv
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from dermtl.cli import dermtl

ROOT = Path(__file__).parents[2]
CONFIG = """\
name: tiny
data: {root: data}
backbone: {name: test_resnet, pretrained: false, image_size: 64}
heads:
  diagnosis: {type: classification}
training: {stages: [{epochs: 1, lr: 1e-3}], batch_size: 8, workers: 0, augmentation: light, accelerator: cpu}
"""
SPACE = """\
space:
  training.stages.0.lr: {low: 1.0e-4, high: 1.0e-2, log: true}
trials: 1
"""
COMMANDS = """
data synth data --num 24
data check data/manifest.csv
data split data/manifest.csv --out split
data preview tiny.yaml --out preview.jpg
config show tiny.yaml
train tiny.yaml --run runs/one
train tiny.yaml --run runs/two -o training.seed=1
lr-find tiny.yaml --steps 10
tune tiny.yaml space.yaml --out search
calibrate runs/one --replace
evaluate runs/one --split train --resamples 20
model-card runs/one --split train
evaluate runs/two --split train --resamples 20
compare runs/one runs/two --split train --resamples 20
export runs/one --out model.onnx
verify model.onnx
predict model.onnx data/images --out predictions.jsonl
benchmark model.onnx --rounds 1
explain runs/one data/images/00000.jpg
taxonomy show TREE
taxonomy partition TREE --manifest tree.csv --min-class-size 1 --out partition.json
model show test_resnet
runs list runs
runs compare runs/one runs/two
plugins new freckle
"""
SCRIPT = """
import shlex, sys
from pathlib import Path
from dermtl.cli import dermtl
for line in Path("commands.txt").read_text().splitlines():
    try:
        code = dermtl.main(shlex.split(line), standalone_mode=False) or 0
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        code = f"{type(error).__name__}: {error}"
    # 1 is done with findings, such as too few records for a temperature
    print("DONE" if code in (0, 1) else f"FAILED with {code}:", line)
"""


@pytest.fixture
def all_groups(install, five_broken, tmp_path):
    """Five broken heads, and importers, trackers and commands that leave a trace where they are imported."""
    trace = tmp_path / "trace.txt"
    first = f"open({str(trace)!r}, 'a').write(__name__ + '\\n')\n"
    ways = {"raises": "raise RuntimeError('torn')", "hangs": "import time; time.sleep(600)",
            "dies": "import os; os._exit(7)"}  # fmt: skip
    for group in ("heads", "importers", "trackers", "commands"):
        for way, text in ways.items():
            name = f"{group}_{way}"
            modules = {f"brk_{name}": first + text}
            install(f"broken-{name}", {name: f"brk_{name}:it"}, modules, group=f"dermtl.{group}")
    return trace


@pytest.mark.slow
def test_every_core_command_works_and_imports_none(all_groups, tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "space.yaml").write_text(SPACE)
    tree = ROOT / "configs" / "taxonomies" / "isic.yaml"
    commands = [line.replace("TREE", str(tree)) for line in COMMANDS.split("\n") if line]
    (tmp_path / "commands.txt").write_text("\n".join(commands))
    with (tmp_path / "tree.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label"], ["a.jpg", "melanoma"], ["b.jpg", "nevus"]])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.stdout.count("DONE ") == len(commands), done.stdout + done.stderr
    assert not all_groups.exists(), all_groups.read_text()


@pytest.mark.slow
def test_detection_of_a_format_goes_round_them(all_groups, dermtl_process, tmp_path):
    from PIL import Image

    for label in "ab":
        (tmp_path / "set" / label).mkdir(parents=True)
        Image.new("RGB", (4, 5)).save(tmp_path / "set" / label / "0.png")
    done = dermtl_process("data", "import", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert "read as class_folders" in done.stdout
    assert "importer importers_hangs of broken-importers_hangs: takes longer than 5 s" in done.stderr


def test_a_first_experiment_is_written(all_groups, dermtl_process, drawn, tmp_path):
    """Every head is asked what it could train; one that hangs or ends its process is named and passed over."""
    done = dermtl_process("init", drawn, "--out", tmp_path / "first.yaml")
    assert done.returncode == 0, done.stderr
    assert "label: {type: classification, column: label}" in (tmp_path / "first.yaml").read_text()
    assert "passed over: head heads_hangs: takes longer than 5 s" in done.stderr
    assert "passed over: head heads_dies: ends the process that imports it" in done.stderr


def test_help_stays_under_its_budget(all_groups, cpu_s):
    """As tests/cli/test_import_cost.py has it for an installation without plugins."""
    runs = [(cpu_s("-c", "pass"), cpu_s("-m", "dermtl", "--help")) for _ in range(5)]
    assert statistics.median(help_s for _, help_s in runs) <= 6 * statistics.median(empty_s for empty_s, _ in runs)
    assert not all_groups.exists(), all_groups.read_text()


def test_the_list_of_commands_above_is_whole():
    import click

    def leaves(group, path=()):
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            yield from leaves(command, (*path, name)) if isinstance(command, click.Group) else [" ".join((*path, name))]

    # The readers' command knows tables alone; the others are tested with broken plugins in other files, and above.
    elsewhere = {"readers", "data import", "init", "plugins list", "plugins check", "config schema"}
    missing = {name for name in set(leaves(dermtl)) - elsewhere if f"\n{name} " not in COMMANDS}
    assert not missing
