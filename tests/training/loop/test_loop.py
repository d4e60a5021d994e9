"""The loop from end to end: it learns, writes what it says, repeats itself bit by bit, and stops well."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dermtl.errors import AnnotationError, ConfigError, DataError, ManifestError, NonFiniteLoss
from dermtl.runs.folder import RunFolder, TrainedRun, load_run

Train = Callable[..., RunFolder]


def read_history(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def numbers(run: RunFolder, column: str) -> list[float]:
    return [float(row[column]) for row in read_history(run)]


@pytest.mark.slow
def test_it_learns(train_tiny: Train, tmp_path: Path) -> None:
    run = train_tiny(
        tmp_path / "run",
        "training.stages=[{train: all, epochs: 10, lr: 5e-3}]",
        "training.augmentation=none",
        "heads.diagnosis.dropout=0",
        "heads.extent.dropout=0",
    )
    losses = numbers(run, "train.loss")
    assert losses[-1] < 0.8 * losses[0]


def test_the_folder_holds_what_the_design_says(finished: RunFolder) -> None:
    assert yaml.safe_load(finished.config.read_text())["name"] == "tiny"
    facts = finished.facts
    assert facts["state"] == "finished"
    assert facts["epochs"] == 3
    assert facts["seed"] == 0
    assert facts["versions"]["torch"]
    with finished.splits.open(newline="") as file:
        sides = [row["split"] for row in csv.DictReader(file)]
    assert {side: sides.count(side) for side in ("train", "val", "test")} == {
        side: facts["data"][side] for side in ("train", "val", "test")
    }
    history = read_history(finished)
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert {"lr", "stage", "train.loss", "val.loss", "val.extent.circle_iou"} <= set(history[0])
    trained = load_run(finished.path)
    assert not trained.network.training
    assert set(trained.kinds) == {"diagnosis.probability", "extent.circle"}


def test_after_one_epoch_best_and_last_are_one(train_tiny: Train, tmp_path: Path) -> None:
    run = train_tiny(tmp_path / "run", "training.stages.0.epochs=1")
    first = load_file(run.best)
    assert all(torch.equal(first[name], value) for name, value in load_file(run.last).items())
    assert run.facts["best_val_loss"] == pytest.approx(numbers(run, "val.loss")[0])


def test_the_noted_best_is_the_lowest(finished: RunFolder) -> None:
    assert finished.facts["best_val_loss"] == pytest.approx(min(numbers(finished, "val.loss")))


def test_the_same_seed_gives_the_same_bytes(finished: RunFolder, train_tiny: Train, tmp_path: Path) -> None:
    again = train_tiny(tmp_path / "again")
    assert again.last.read_bytes() == finished.last.read_bytes()
    assert again.best.read_bytes() == finished.best.read_bytes()
    assert read_history(again) == read_history(finished)


def test_another_seed_gives_other_weights(finished: RunFolder, train_tiny: Train, tmp_path: Path) -> None:
    other = train_tiny(tmp_path / "other", "training.seed=1", "training.stages.0.epochs=1")
    assert numbers(other, "train.loss")[0] != numbers(finished, "train.loss")[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # the machine may have fewer cores
@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_nothing(
    finished: RunFolder, train_tiny: Train, tmp_path: Path, workers: int
) -> None:
    run = train_tiny(tmp_path / "run", f"training.workers={workers}")
    assert run.last.read_bytes() == finished.last.read_bytes()
    assert read_history(run) == read_history(finished)


def test_a_run_that_is_there_is_not_overwritten(finished: RunFolder, train_tiny: Train) -> None:
    before = finished.last.read_bytes()
    with pytest.raises(DataError, match="exists already") as caught:
        train_tiny(finished.path)
    assert "--resume" in caught.value.hint
    assert finished.last.read_bytes() == before


def test_a_folder_of_something_else_is_not_resumed(train_tiny: Train, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(DataError, match="exists already"):
        train_tiny(tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_resuming_with_another_config_names_the_key(finished: RunFolder, train_tiny: Train) -> None:
    with pytest.raises(ConfigError, match=r"training\.stages\.0\.lr: 0\.002 -> 0\.01"):
        train_tiny(finished.path, "training.stages.0.lr=0.01", resume=True)


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ("[{train: head, epochs: 1, lr: 0.002}, {train: all, epochs: 2}]", r"training\.stages\.1: added"),
        ("[{train: all, epochs: 3, lr: 0.002}]", r"training\.stages\.1: removed"),
    ],
)
def test_resuming_with_another_number_of_stages_names_the_stage(
    train_tiny: Train, tmp_path: Path, stages: str, told: str
) -> None:
    one, two = "[{train: all, epochs: 1, lr: 0.002}]", "[{train: head, epochs: 1}, {train: all, epochs: 1}]"
    run = train_tiny(tmp_path / "run", f"training.stages={one if 'added' in told else two}")
    before = {path: path.read_bytes() for path in sorted(run.path.rglob("*")) if path.is_file()}
    with pytest.raises(ConfigError, match=told) as caught:
        train_tiny(run.path, f"training.stages={stages}", resume=True)
    assert "stages.1." not in caught.value.message, "a stage is named once, not once a key"
    assert {path: path.read_bytes() for path in sorted(run.path.rglob("*")) if path.is_file()} == before


@pytest.mark.parametrize("inner", ["", "below"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_file_in_the_place_of_a_run_is_refused_and_stays(
    tiny_experiment: Path, tmp_path: Path, inner: str, resume: bool
) -> None:
    from dermtl.training.folds import train_folds
    from dermtl.training.train import train

    (tmp_path / "file").write_text("dear")
    for begin in (train, lambda path, **options: train_folds(path, num=3, **options)):
        with pytest.raises(DataError, match="is a file") as caught:
            begin(tiny_experiment, run=tmp_path / "file" / inner, resume=resume)
        assert caught.value.where == str(tmp_path / "file")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["dear"]


def test_resuming_with_other_data_is_refused(finished: RunFolder, drawn: Path, tmp_path: Path) -> None:
    from dermtl.training.train import train

    moved = tmp_path / "data"
    shutil.copytree(drawn, moved)
    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    config = run.config.read_text().replace(str(drawn), str(moved))
    run.config.write_text(config)
    table = (moved / "manifest.csv").read_text().splitlines()
    columns = table[0].split(",")
    cells = table[1].split(",")
    cells[columns.index("r")] = "11"
    (moved / "manifest.csv").write_text("\n".join([table[0], ",".join(cells), *table[2:]]) + "\n")
    with pytest.raises(ManifestError, match="data changed"):
        train(run.config, run=run.path, resume=True)


def test_resuming_a_finished_run_changes_nothing(finished: RunFolder, train_tiny: Train, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    train_tiny(run.path, resume=True)
    assert run.best.read_bytes() == finished.best.read_bytes()
    assert run.facts["state"] == "finished"
    assert read_history(run) == read_history(finished)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.stages.0.train=from:nowhere", r"training\.stages\.0\.train.*layer1"),
        ("training.stages.0.train=last:99", r"training\.stages\.0\.train"),
        ("training.stages.0.optimizer=adamm", r"training\.stages\.0.*adamm"),
        ("training.stages.0.schedule=cosinus", r"training\.stages\.0.*cosinus"),
        ("training.stages.0.schedule=plateau", r"training\.stages\.0.*plateau"),
        ("training.augmentation=defualt", r"training\.augmentation.*defualt"),
        ("backbone.name=resnet51", r"backbone\.name"),
        ("backbone.options={nonsense: 3}", r"backbone\.options"),
    ],
)
def test_a_wrong_key_is_found_before_anything_is_written(
    train_tiny: Train, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        train_tiny(tmp_path / "run", override)
    assert caught.value.where
    assert not (tmp_path / "run").exists()


def test_an_augmentation_that_circles_cannot_follow_is_refused_first(train_tiny: Train, tmp_path: Path) -> None:
    shear = "training.augmentation=[{Affine: {shear: [20, 20], p: 1}}]"
    with pytest.raises(AnnotationError, match="ellipses"):
        train_tiny(tmp_path / "run", shear)
    assert not (tmp_path / "run").exists()
    run = train_tiny(tmp_path / "run", shear, "heads.extent.allow_anisotropic=true", "training.stages.0.epochs=1")
    assert run.facts["state"] == "finished"


def test_a_huge_rate_ends_with_the_heads_and_the_records_named(train_tiny: Train, tmp_path: Path) -> None:
    stages = "training.stages=[{train: all, epochs: 1, lr: 1e-3}, {train: all, epochs: 3, lr: 1e20, optimizer: sgd}]"
    with pytest.raises(NonFiniteLoss) as caught:
        train_tiny(tmp_path / "run", stages, "training.clip_grad=null")
    run = RunFolder(tmp_path / "run")
    assert "extent" in str(caught.value)
    assert "images/" in str(caught.value)
    assert run.facts["state"] == "failed"
    for path in (run.best, run.last):
        assert all(torch.isfinite(value).all() for value in load_file(path).values() if value.is_floating_point())
    assert len(read_history(run)) == 1


def test_weights_that_fail_in_validation_are_no_checkpoint(train_tiny: Train, tmp_path: Path) -> None:
    """One batch an epoch: its loss is finite, what it makes of the weights is not."""
    overrides = ("training.batch_size=64", "training.clip_grad=null")
    stages = "training.stages=[{train: all, epochs: 2, lr: 1e30, optimizer: sgd, schedule: constant}]"
    with pytest.raises(NonFiniteLoss, match=r"validation.*extent"):
        train_tiny(tmp_path / "run", stages, *overrides)
    assert not RunFolder(tmp_path / "run").best.exists()


def test_a_gradient_that_is_not_finite_is_a_fault_of_the_run(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dermtl_regression.circle.head import CircleHead

    real = CircleHead.loss

    def steep(self: CircleHead, raw: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        found = real(self, raw, target)
        return {**found, "root": torch.sqrt((raw - raw.detach()).abs().sum(dim=1))}  # 0, with an infinite slope

    monkeypatch.setattr(CircleHead, "loss", steep)
    with pytest.raises(NonFiniteLoss, match=r"gradient.*extent"):
        train_tiny(tmp_path / "run")


def test_early_stopping_stops_and_keeps_the_best(
    train_tiny: Train, tmp_path: Path, validation_loss: Callable[[TrainedRun], float]
) -> None:
    run = train_tiny(
        tmp_path / "run",
        "training.stages=[{train: all, epochs: 30, lr: 0.05, optimizer: sgd, schedule: constant}]",
        "training.early_stopping={patience: 2}",
    )
    losses = numbers(run, "val.loss")
    best = min(range(len(losses)), key=losses.__getitem__)
    assert len(losses) < 30
    assert len(losses) == best + 1 + 2
    stored = load_run(run.path)
    assert validation_loss(stored) == pytest.approx(losses[best], rel=1e-4)


def test_patience_counts_small_gains_but_best_keeps_them(
    train_tiny: Train, tmp_path: Path, validation_loss: Callable[[TrainedRun], float]
) -> None:
    """Gains below min_delta do not buy time, and are kept all the same."""
    run = train_tiny(
        tmp_path / "run",
        "training.stages=[{train: head, epochs: 9, lr: 1e-3, schedule: constant}]",
        "training.early_stopping={patience: 3, min_delta: 0.5}",
        "training.augmentation=none",
    )
    losses = numbers(run, "val.loss")
    assert len(losses) == 4
    assert min(losses) < losses[0], "the rate must let the loss fall, or this shows nothing"
    assert run.facts["best_val_loss"] == pytest.approx(min(losses))
    assert validation_loss(load_run(run.path)) == pytest.approx(min(losses), rel=1e-4)


def test_no_validation_records(train_tiny: Train, tmp_path: Path) -> None:
    run = train_tiny(
        tmp_path / "run",
        "data.split={train: 0.8, val: 0, test: 0.2}",
        "training.stages.0.epochs=2",
        "training.early_stopping={patience: 1}",
    )
    history = read_history(run)
    assert len(history) == 2
    assert "val.loss" not in history[0]
    assert run.best.read_bytes() == run.last.read_bytes()
    json.loads((run.path / "run.json").read_text(), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


def test_validation_records_without_a_truth_are_refused(train_tiny: Train, drawn: Path, tmp_path: Path) -> None:
    with (drawn / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    patients = sorted({row["patient_id"] for row in rows})
    val = set(patients[-2:])
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "side"])
        writer.writeheader()
        for row in rows:
            side = "val" if row["patient_id"] in val else "train"
            blank = {"label": "", "cx": "", "cy": "", "r": ""} if side == "val" else {}
            writer.writerow({**row, **blank, "side": side})
    with pytest.raises(ManifestError, match="split val: none of its 4 records has a truth"):
        train_tiny(tmp_path / "run", f"data.root={data}", "data.split={column: side}")
    assert not (tmp_path / "run").exists()


def test_stages_follow_one_another(train_tiny: Train, tmp_path: Path) -> None:
    stages = "training.stages=[{train: head, epochs: 1, lr: 1e-2}, {train: 'last:1', epochs: 1, lr: 1e-3}]"
    run = train_tiny(tmp_path / "run", stages)
    assert [row["stage"] for row in read_history(run)] == ["1", "2"]
    assert all(math.isfinite(value) for value in numbers(run, "val.loss"))


def test_warmup_holds_for_a_constant_schedule(train_tiny: Train, tmp_path: Path) -> None:
    stages = "training.stages=[{train: head, epochs: 3, lr: 1e-2, schedule: constant, warmup_epochs: 2}]"
    rates = numbers(train_tiny(tmp_path / "run", stages), "lr")
    assert rates[0] < rates[1] < rates[2] == pytest.approx(1e-2)


def test_an_epochs_loss_is_its_own(train_tiny: Train, tmp_path: Path) -> None:
    """With frozen norms, no dropout and no rate to speak of, every epoch finds the same loss in another order."""
    run = train_tiny(
        tmp_path / "run",
        "training.stages=[{train: head, epochs: 3, lr: 1e-12}]",
        "training.augmentation=none",
        "heads.diagnosis.dropout=0",
        "heads.extent.dropout=0",
    )
    for column in ("train.loss", "train.extent.loss.giou"):
        first, *others = numbers(run, column)
        assert others == pytest.approx([first] * 2, rel=1e-4)


def test_a_run_is_finished_once_it_is_settled(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before thresholds are settled it must not look finished, and resuming settles them."""
    from dermtl.training import train as module

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    short = "training.stages.0.epochs=1"
    monkeypatch.setattr(module, "calibrate_trained", killed)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path / "run", short)
    monkeypatch.undo()
    assert RunFolder(tmp_path / "run").facts["state"] != "finished"
    run = train_tiny(tmp_path / "run", short, resume=True)
    assert run.facts["state"] == "finished"
    assert run.decisions.exists()


def test_what_a_head_raises_names_the_head(train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dermtl_regression.circle.head import CircleHead

    monkeypatch.setattr(CircleHead, "loss", lambda self, raw, target: {}["sigma"])
    with pytest.raises(KeyError) as caught:
        train_tiny(tmp_path / "run")
    assert any("head 'extent', its loss" in note for note in caught.value.__notes__)
