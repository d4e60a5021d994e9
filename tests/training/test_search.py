"""The learning-rate test, and the search over an experiment's keys."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from dermtl.errors import ConfigError
from dermtl.runs.folder import RunFolder
from dermtl.training.lr_find import draw_test, find_rate, smooth, suggest_rate

optuna = pytest.importorskip("optuna", reason="needs the extra tune")
SPACE = """\
space:
  training.stages.0.lr: {low: 1e-4, high: 1e-1, log: true}
  training.batch_size: {choices: [4, 8]}
trials: 3
startup: 1
warmup_epochs: 0
"""


def test_smoothing_is_a_weighted_mean() -> None:
    assert smooth([3.0, 3.0, 3.0]) == pytest.approx([3, 3, 3])
    assert smooth([0.0, 1.0])[1] == pytest.approx(0.1 / (0.09 + 0.1))


def test_the_steepest_fall_is_suggested() -> None:
    """A valley in the logarithm of the rate: the fall is steepest where the curve's slope is, late by the smoothing."""
    rates = np.geomspace(1e-6, 1, 100)
    losses = 2 - np.tanh(3 * (np.log10(rates) + 3))
    found = suggest_rate(rates.tolist(), losses.tolist())
    assert found.suggested is not None
    assert -3 <= np.log10(found.suggested) <= -2
    assert suggest_rate(rates.tolist(), np.linspace(1, 2, 100).tolist()).suggested is None


def test_a_real_network_is_tried_and_nothing_is_written(tiny_experiment: Path, tmp_path: Path) -> None:
    found = find_rate(tiny_experiment, ["training.augmentation=none"], steps=30, low=1e-5, high=100.0)
    assert 10 <= len(found.rates) <= 30
    assert found.suggested is not None
    assert 1e-5 < found.suggested < 1
    draw_test(found, tmp_path / "rates.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["rates.svg"]
    assert "<svg" in (tmp_path / "rates.svg").read_text()


def test_a_stage_that_is_not_there(tiny_experiment: Path) -> None:
    with pytest.raises(ConfigError, match="no stage 2"):
        find_rate(tiny_experiment, stage=2)


@pytest.mark.slow
def test_a_search_resumes_and_writes_its_best(tiny_experiment: Path, tmp_path: Path) -> None:
    from dermtl.config.load import load_experiment
    from dermtl.training.tune import Tuning, read_search, tune

    space, folder = tmp_path / "space.yaml", tmp_path / "search"
    space.write_text(SPACE)
    base = ("training.stages.0.epochs=2",)
    killed = Tuning(tiny_experiment, read_search(space), folder, base)
    killed._study.ask()  # a trial that a kill left open
    best = tune(tiny_experiment, space, folder, base)
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}")
    states = [trial.state.name for trial in study.trials]
    assert states[0] == "FAIL"
    assert len(states) == 3
    winner = study.best_trial
    experiment, _ = load_experiment(best)
    assert experiment.training.stages[0].lr == pytest.approx(winner.params["training.stages.0.lr"])
    assert yaml.safe_load(best.read_text())["training"]["batch_size"] in (4, 8)
    run = RunFolder(folder / "trials" / f"{winner.number:04d}")
    assert winner.value == pytest.approx(run.facts["best_val_loss"])
    space.write_text(SPACE.replace("trials: 3", "trials: 4"))
    tune(tiny_experiment, space, folder, base)
    assert len(optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}").trials) == 4
    space.write_text(SPACE.replace("1e-4", "1e-3"))
    with pytest.raises(ConfigError, match="another search"):
        tune(tiny_experiment, space, folder, base)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("space: {training.nonsense: {low: 1, high: 2}}", "nonsense"),
        ("space: {training.batch_size: {low: 4, high: 2, integer: true}}", "low must be below high"),
        ("space: {training.batch_size: {low: 4}}", "give low and high"),
        ("space: {training.batch_size: {choices: [0]}}", "batch_size"),
        ("trials: 3", "space"),
    ],
)
def test_a_wrong_space_is_told_before_anything_is_written(
    tiny_experiment: Path, tmp_path: Path, text: str, message: str
) -> None:
    from dermtl.training.tune import tune

    space = tmp_path / "space.yaml"
    space.write_text(text)
    with pytest.raises(ConfigError, match=message):
        tune(tiny_experiment, space, tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_a_metric_that_is_none_is_told_with_the_nearest(
    tiny_experiment: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from dermtl.training.tune import tune

    space = tmp_path / "space.yaml"
    space.write_text(SPACE + "metric: val.diagnosis.balanced_acc\n")
    with pytest.raises(ConfigError, match=r"no 'val.diagnosis.balanced_acc'.*'val.diagnosis.balanced_accuracy'"):
        tune(tiny_experiment, space, tmp_path / "search", ("training.stages.0.epochs=1",))
    assert "Traceback" not in capfd.readouterr().err


def test_an_optimiser_that_timm_does_not_know_is_told_with_near_ones(tiny_experiment: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot make adamx.*near names: .*adam"):
        find_rate(tiny_experiment, ["training.stages.0.optimizer=adamx"])
