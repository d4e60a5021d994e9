"""A tiny trained run and its exported model, made once."""

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dermtl.plugins.plan import HeadPlan

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

EXPERIMENT = """\
name: tiny
data: {{root: {root}}}
backbone: {{name: test_resnet, pretrained: false, image_size: 64}}
heads:
  diagnosis: {{type: classification, classes: [{classes}]}}
  extent: {{type: circle}}
  outline: {{type: segmentation, classes: [lesion], channels: [8, 8, 8, 8]}}
  age: {{type: number, names: [age]}}
training:
  stages: [{{train: all, epochs: 1, lr: 2e-3}}]
  batch_size: 8
  workers: 0
  accelerator: cpu
"""


@pytest.fixture(scope="session")
def scored_run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch; its ``evaluation`` folder may be written to."""
    pytest.importorskip("torch")
    from dermtl.training.train import train

    with (drawn / "manifest.csv").open(newline="") as file:
        classes = sorted({row["label"] for row in csv.DictReader(file)})
    folder = tmp_path_factory.mktemp("scored")
    (folder / "tiny.yaml").write_text(EXPERIMENT.format(root=drawn, classes=", ".join(classes)))
    return train(folder / "tiny.yaml", run=folder / "run").path


@pytest.fixture(scope="session")
def exported(scored_run: Path) -> Path:
    """The run as ``model.onnx`` inside its folder."""
    from dermtl.export.export import export_run

    return export_run(scored_run, scored_run / "model.onnx")


@pytest.fixture(scope="session")
def planned() -> "Callable[[Mapping[str, Any]], dict[str, HeadPlan]]":
    """Heads as an experiment writes them, to their plans."""
    from dermtl.config.experiment import Backbone, Experiment
    from dermtl.config.source import Source
    from dermtl.config.training import Stage, Training
    from dermtl.plugins.plan import plan_heads

    def plan(heads: Mapping[str, Any]) -> "dict[str, HeadPlan]":
        experiment = Experiment(
            name="x", backbone=Backbone(name="none"), heads=dict(heads), training=Training(stages=[Stage(epochs=1)])
        )
        return plan_heads(experiment, Source({"heads": heads}))

    return plan
