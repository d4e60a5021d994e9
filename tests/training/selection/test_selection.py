"""Which weights become the best: the counted epoch, a mean computed by hand, and metrics that there are none of."""

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dermtl.errors import ConfigError
from dermtl.runs.folder import RunFolder, TrainedRun, load_run
from dermtl.training.resume.training_state import TrainingState
from dermtl.training.selection.criterion import score_of
from dermtl.training.selection.model_soup import greedy_soup

Train = Callable[..., RunFolder]
FOUR = "training.stages=[{train: all, epochs: 4, lr: 5e-3}]"


def rows(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("by", "column", "pick"),
    [
        ("val.loss", "val.loss", np.argmin),
        ("extent.circle_iou", "val.extent.circle_iou", np.argmax),
        ("-extent.centre_error_px", "val.extent.centre_error_px", np.argmin),
    ],
)
def test_the_best_epoch_is_that_of_the_column(
    train_tiny: Train, tmp_path: Path, by: str, column: str, pick: Callable[..., int]
) -> None:
    run = train_tiny(tmp_path / "run", FOUR, f"training.select.by={by}")
    history = rows(run)
    best = int(pick([float(row[column]) for row in history]))
    assert run.facts["best"] == {"by": by, "epoch": best + 1}
    assert run.facts["best_val_loss"] == pytest.approx(float(history[best]["val.loss"]))
    assert [index for index, row in enumerate(history) if row["best"] == "1"][-1] == best
    alone = train_tiny(tmp_path / "alone", FOUR, "training.select.by=last")
    assert alone.best.read_bytes() == alone.last.read_bytes() == run.last.read_bytes()
    assert (run.best.read_bytes() == run.last.read_bytes()) == (best == 3)


@pytest.mark.parametrize(
    ("by", "words", "hint"),
    [
        ("nobody.auroc", "there is no head 'nobody'", "diagnosis"),
        ("extent.iou", "head 'extent' measures no 'iou'", "circle_iou"),
    ],
)
def test_an_unknown_metric_is_refused_before_anything_is_written(
    train_tiny: Train, tmp_path: Path, by: str, words: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        train_tiny(tmp_path / "run", f"training.select.by={by}")
    assert hint in caught.value.hint
    assert caught.value.where == f"-o training.select.by={by}"
    assert not (tmp_path / "run").exists()


def test_choosing_by_validation_needs_validation_records(train_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are none"):
        train_tiny(tmp_path / "run", "data.split={train: 0.8, val: 0, test: 0.2}", "training.select.average=soup")


def test_a_greedy_soup_is_the_mean_of_what_helps(tmp_path: Path) -> None:
    """Scores are distances from 3.4: of 2, 5 and 8 the mean of the first two is nearest; the third only hurts."""
    paths = []
    for number, value in enumerate((2.0, 5.0, 8.0)):
        paths.append(tmp_path / f"{number}.safetensors")
        save_file({"w": torch.tensor([value]), "count": torch.tensor(number)}, paths[-1])

    def distance(weights: dict[str, torch.Tensor]) -> float:
        return abs(float(weights["w"]) - 3.4)

    soup, chosen, score = greedy_soup(paths, distance)
    assert float(soup["w"]) == pytest.approx(3.5)
    assert int(soup["count"]) == 0
    assert chosen == paths[:2]
    assert score == pytest.approx(0.1)


def test_a_run_ends_with_its_soup(
    train_tiny: Train, tmp_path: Path, validation_loss: Callable[[TrainedRun], float]
) -> None:
    """The best weights are the plain mean of the epochs that run.json names, and answer no worse than any of them."""
    run = train_tiny(tmp_path / "run", FOUR, "training.select.average=soup")
    epochs = run.facts["best"]["soup"]
    states = [load_file(run.snapshot(epoch)) for epoch in epochs]
    best = load_file(run.best)
    for name, value in best.items():
        if value.is_floating_point():
            mean = torch.stack([state[name] for state in states]).double().mean(0)
            torch.testing.assert_close(value.double(), mean, rtol=1e-4, atol=1e-6)
    lowest = min(float(row["val.loss"]) for row in rows(run))
    assert run.facts["best_val_loss"] <= lowest
    assert validation_loss(load_run(run.path)) == pytest.approx(run.facts["best_val_loss"], rel=1e-4)
    again = train_tiny(run.path, FOUR, "training.select.average=soup", resume=True)
    assert again.best.read_bytes() == run.best.read_bytes()


def test_ema_by_name_has_a_decay(train_tiny: Train, tmp_path: Path) -> None:
    named = train_tiny(tmp_path / "named", "training.select.average=ema", "training.stages.0.epochs=1")
    given = train_tiny(tmp_path / "given", "training.ema=0.99", "training.stages.0.epochs=1")
    assert named.last.read_bytes() == given.last.read_bytes()
    with pytest.raises(ConfigError, match=r"ema or select\.average"):
        train_tiny(tmp_path / "both", "training.ema=0.9", "training.select.average=soup")


def test_a_metric_that_is_not_estimable_is_never_the_best() -> None:
    assert score_of("a.b", {"val.loss": 1.0, "val.a.b": float("nan")}) == float("inf")
    assert score_of("a.b", {"val.loss": 1.0, "val.a.b": 0.25}) == -0.25
    assert score_of("-a.b", {"val.a.b": 0.25}) == 0.25
    assert score_of("last", {"val.loss": 1.0}) is None
    assert score_of("val.loss", {"train.loss": 1.0}) is None


def test_patience_counts_within_a_stage() -> None:
    """A stage that begins above the best of the one before has as many epochs to improve as any other."""
    state = TrainingState()
    state.close_epoch(1, {})
    state.update_best(0.1, 0.1, 0.0)
    state.next_phase()
    for loss, stale in ((0.9, 0), (0.8, 0), (0.85, 1), (0.7, 0)):
        state.close_epoch(2, {})
        assert not state.update_best(loss, loss, 0.0)
        assert state.epochs_without_improvement == stale
    assert [row["best"] for row in state.history] == [1, 0, 0, 0, 0]


def test_a_stage_that_stops_early_says_so(train_tiny: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = "training.stages=[{train: all, epochs: 9, lr: 1e-9, schedule: constant}, {train: head, epochs: 2}]"
    with caplog.at_level(logging.INFO, "dermtl"):
        run = train_tiny(tmp_path / "run", stages, "training.early_stopping={patience: 2, min_delta: 10}")
    assert "stage 1 stopped early, after 3 of 9 epochs: val.loss did not improve for 2 epochs" in caplog.text
    assert [row["stage"] for row in rows(run)] == ["1", "1", "1", "2", "2"]
    assert "val.diagnosis.balanced_accuracy" in caplog.text
    json.loads((run.path / "run.json").read_text())
