"""Rows as the training loop tells them, and folders as runs leave them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONFIG = """\
name: {name}
heads:
  diagnosis: {{type: 'dermtl-classification:classification', classes: [nevus, melanoma]}}
training:
  stages: [{{epochs: 3, lr: {lr}}}]
"""


def epoch_row(epoch: int, **more: Any) -> dict[str, Any]:
    row = {"epoch": epoch, "stage": 1 + epoch // 3, "lr": 1e-3 / epoch, "seconds": 1.5, "train.loss": 2.0 / epoch}
    row |= {"val.loss": 1.0 + abs(epoch - 2), "val.diagnosis.loss": 1.0, "val.diagnosis.accuracy": 0.1 * epoch}
    return row | {"val.diagnosis.balanced_accuracy": 0.05 * epoch, "val.diagnosis.auroc.nevus": float("nan")} | more


@pytest.fixture(scope="session")
def told() -> Callable[..., dict[str, Any]]:
    """A row of metrics.csv of an epoch; the second has the lowest validation loss."""
    return epoch_row


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[..., Path]:
    """Lay out a finished run of three epochs, evaluated where ``test`` is given."""

    def lay_out(name: str, *, lr: float = 1e-3, test: float | None = None) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(CONFIG.format(name=name, lr=lr))
        facts = {"name": name, "state": "finished", "seed": 0, "started": "2026-01-02T03:04:05+00:00"}
        (folder / "run.json").write_text(json.dumps(facts))
        rows = [epoch_row(epoch) for epoch in (1, 2, 3)]
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        if test is not None:
            figure = {"value": test, "low": test - 0.1, "high": test + 0.1, "n": 20}
            missing = {"value": None, "low": None, "high": None, "n": 20}
            heads = {"diagnosis": {"balanced_accuracy": figure, "accuracy": missing, "auroc.nevus": figure}}
            document = {"heads": heads, "primary": {"diagnosis": "balanced_accuracy"}, "data": {}, "model": {}}
            (folder / "evaluation/test").mkdir(parents=True)
            (folder / "evaluation/test/metrics.json").write_text(json.dumps(document))
        return folder

    return lay_out
