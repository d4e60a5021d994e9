"""Accumulation, running means, blending, learned weights, choosing between stages, unfreezing, more epochs."""

import csv
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dermtl.config.training import Mix, Stage
from dermtl.errors import ConfigError
from dermtl.kinds import Record
from dermtl.model.network import Network
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder, load_run
from dermtl.training.data.mixup import Mixing, plan_mixing
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.phases import phases_of
from dermtl.training.optim.ema import WeightEma
from dermtl.training.selection.probe_or_finetune import choose
from dermtl.training.train import train

Train = Callable[..., RunFolder]
StopAt = Callable[[int], AbstractContextManager[None]]
Plan = Callable[..., tuple[dict[str, HeadPlan], Network]]
NO_DROPOUT = ("heads.diagnosis.dropout=0", "heads.extent.dropout=0")
ONE = "training.stages=[{train: all, epochs: 1, lr: 1e-3}]"


def rows(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_close(run: RunFolder, other: RunFolder, tolerance: float) -> None:
    one, two = load_file(run.last), load_file(other.last)
    for name, value in one.items():
        if "running" not in name:
            torch.testing.assert_close(value, two[name], rtol=tolerance, atol=tolerance)


def test_accumulating_parts_is_one_batch(train_tiny: Train, tmp_path: Path) -> None:
    """On a backbone without BatchNorm; some records lack a target, so parts hold unlike numbers of them."""
    plain = "training.stages=[{train: all, epochs: 1, lr: 1e-2, optimizer: sgd}]"  # Adam blows up what is near zero
    shared = (
        plain,
        "backbone={name: test_vit, pretrained: false, image_size: 64}",
        "training.batch_size=8",
        *NO_DROPOUT,
    )
    whole = train_tiny(tmp_path / "whole", *shared)
    parts = train_tiny(tmp_path / "parts", *shared, "training.accumulate=3")
    assert_close(whole, parts, 1e-5)
    assert float(rows(parts)[0]["train.loss"]) == pytest.approx(float(rows(whole)[0]["train.loss"]), rel=1e-5)


def test_parts_weigh_by_their_rows(plan_tiny: Plan) -> None:
    plans, network = plan_tiny()
    objective = Objective(network, dict.fromkeys(plans, 1.0))
    raw = {"diagnosis": torch.randn(5, 3), "extent": torch.rand(5, 3)}
    targets = {"diagnosis": (torch.tensor([0, 3, 4]), torch.tensor([0, 1, 2]))}
    whole, _ = objective(raw, targets)
    totals = objective.denominators(targets)
    first, _ = objective(
        {k: v[:2] for k, v in raw.items()}, {"diagnosis": (torch.tensor([0]), torch.tensor([0]))}, totals
    )
    rest = {"diagnosis": (torch.tensor([1, 2]), torch.tensor([1, 2]))}
    second, _ = objective({k: v[2:] for k, v in raw.items()}, rest, totals)
    torch.testing.assert_close(first + second, whole)


def test_learned_weights_settle_where_the_formula_says(plan_tiny: Plan) -> None:
    """The minimum of exp(-s) L + s / 2 over s lies at exp(-s) = 1 / (2 L)."""
    plans, network = plan_tiny()
    objective = Objective(network, dict.fromkeys(plans, 1.0), learned=True)
    raw = {"diagnosis": torch.randn(4, 3, generator=torch.Generator().manual_seed(1))}
    targets = {"diagnosis": (torch.arange(4), torch.tensor([0, 1, 2, 0]))}
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        total, terms = objective(raw, targets)
        total.backward()
        optimizer.step()
    loss = float(sum(terms.values())) / 4
    assert objective.learned_weights()["diagnosis.weight"] == pytest.approx(1 / (2 * loss), rel=1e-3)
    objective.eval()
    assert float(objective(raw, targets)[0]) == pytest.approx(loss, rel=1e-6)


def test_learned_weights_are_trained_and_told(train_tiny: Train, tmp_path: Path) -> None:
    run = train_tiny(tmp_path / "run", "training.loss_weighting=uncertainty", ONE)
    (row,) = rows(run)
    weights = {name: float(row[f"train.{name}.weight"]) for name in ("diagnosis", "extent")}
    assert all(value != 1 and 0.5 < value < 2 for value in weights.values())
    load_run(run.path)


def test_the_running_mean_is_the_formula() -> None:
    """Against the plain weighted mean of all weights so far, NumPy's own."""
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, -7.0)  # from before the first step: counts nothing
    mean = WeightEma(layer, 0.9)
    for number in range(1, 30):
        torch.nn.init.constant_(layer.weight, float(number))
        mean.update()
    numbers = np.arange(1, 30)
    expected = np.average(numbers, weights=0.9 ** (29 - numbers))
    with mean.applied():
        assert layer.weight.item() == pytest.approx(expected, rel=1e-5)
    assert layer.weight.item() == 29.0


def test_the_running_mean_is_what_is_kept_and_it_resumes(train_tiny: Train, tmp_path: Path, stop_at: StopAt) -> None:
    overrides = ("training.ema=0.9", "training.stages.0.epochs=2")
    reference = train_tiny(tmp_path / "reference", *overrides)
    plain = train_tiny(tmp_path / "plain", "training.stages.0.epochs=2")
    assert reference.last.read_bytes() != plain.last.read_bytes()
    with stop_at(3):
        train_tiny(tmp_path / "run", *overrides)
    run = train_tiny(tmp_path / "run", *overrides, resume=True)
    assert run.last.read_bytes() == reference.last.read_bytes()


@pytest.mark.parametrize("mix", [Mix(mixup=0.4), Mix(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_blending_shares_pixels_as_it_shares_classes(mix: Mix) -> None:
    """Of two flat pictures, 0 and 200, the mean level says how much of each is in the blend."""
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    images[1] = 200
    targets = {"diagnosis": (torch.tensor([0, 1]), torch.tensor([0, 2]))}
    shares = set()
    for seed in range(12):
        mixed, found = Mixing(mix, {"diagnosis": 3})(images, targets, seed)
        rows, share = found["diagnosis"]
        assert rows.tolist() == [0, 1]
        torch.testing.assert_close(share.sum(dim=1), torch.ones(2))
        level = mixed.float().mean(dim=(1, 2, 3)) / 200
        torch.testing.assert_close(level, share[:, 2], rtol=0, atol=1e-5)
        shares.add(round(float(share[0, 0]), 4))
    assert len(shares) > 6
    again, _ = Mixing(mix, {"diagnosis": 3})(images, targets, 11)
    assert torch.equal(again, mixed)


def test_a_row_whose_partner_has_no_class_is_left_out() -> None:
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    targets = {"diagnosis": (torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1]))}
    _, found = Mixing(Mix(mixup=1.0), {"diagnosis": 2})(images, targets, 0)
    assert found["diagnosis"][0].tolist() == [1, 2]  # the partner of 0 is 3


def test_circles_are_not_blended(plan_tiny: Plan) -> None:
    plans, network = plan_tiny()
    with pytest.raises(ConfigError, match="extent"):
        plan_mixing(Mix(mixup=0.2), network, plans)
    assert plan_mixing(Mix(mixup=0.2), network, {"diagnosis": plans["diagnosis"]}) is not None


def test_blending_trains(tiny_experiment: Path, tmp_path: Path) -> None:
    text = tiny_experiment.read_text().replace("  extent: {type: circle}\n", "")
    (tmp_path / "classes.yaml").write_text(text)
    plain = train(tmp_path / "classes.yaml", [ONE], run=tmp_path / "plain")
    mixed = train(tmp_path / "classes.yaml", [ONE, "training.mix={mixup: 0.4, cutmix: 1.0}"], run=tmp_path / "mixed")
    assert plain.last.read_bytes() != mixed.last.read_bytes()


def test_auto_is_two_phases() -> None:
    stages = [Stage(epochs=1, train="head"), Stage(epochs=3, train="auto", unfreeze_epochs=1)]
    found = [(phase.stage.train, phase.stage.epochs, phase.number, phase.role) for phase in phases_of(stages)]
    assert found == [("head", 1, 1, None), ("head", 3, 2, "probe"), ("all", 3, 2, "finetune")]


def make_records(groups: list[str]) -> list[Record]:
    return [Record(f"{i}.png", Path(), {}, group=group) for i, group in enumerate(groups)]


def test_fine_tuning_must_gain_more_than_a_standard_error() -> None:
    records = make_records(["a", "a", "b", "c", "d"])
    head = dict.fromkeys(range(5), 1.0)
    gains = [0.3, 0.1, 0.1, 0.3, 0.2]  # by group: 0.2, 0.1, 0.3, 0.2
    found = choose(head, {i: 1.0 - gain for i, gain in enumerate(gains)}, records)
    per_group = np.array([0.2, 0.1, 0.3, 0.2])
    assert found["gain"] == pytest.approx(per_group.mean())
    assert found["standard_error"] == pytest.approx(per_group.std(ddof=1) / 2)
    assert (found["groups"], found["chosen"]) == (4, "all")
    noisy = {0: 3.0, 1: 3.0, 2: -2.0, 3: 1.2, 4: 0.9}
    assert choose(head, noisy, records)["chosen"] == "head"
    assert choose({0: 1.0}, {0: 0.0}, records)["chosen"] == "head"  # one group says nothing of chance


@pytest.mark.parametrize("rate", [1e-3, 1e-9], ids=["either", "nothing gained"])
def test_auto_keeps_the_weights_that_it_chose(train_tiny: Train, tmp_path: Path, rate: float) -> None:
    stage = f"{{train: auto, epochs: 2, lr: 1e-2, backbone_lr: {rate}, schedule: constant}}"
    run = train_tiny(tmp_path / "run", f"training.stages=[{stage}]", "training.augmentation=none")
    (choice,) = run.facts["choices"]
    table = [float(row["val.loss"]) for row in rows(run)]
    assert len(table) == 4
    half = table[:2] if choice["chosen"] == "head" else table[2:]
    assert run.facts["best_val_loss"] == pytest.approx(min(half))
    if choice["chosen"] == "head":
        assert run.best.read_bytes() == run.probe_weights.read_bytes()
    again = train_tiny(tmp_path / "run", f"training.stages=[{stage}]", "training.augmentation=none", resume=True)
    assert again.facts["choices"] == [choice]


def test_auto_needs_validation_records(train_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="auto"):
        train_tiny(
            tmp_path / "run",
            "training.stages=[{train: auto, epochs: 1}]",
            "data.split={train: 0.8, val: 0, test: 0.2}",
        )
    assert not (tmp_path / "run").exists()


def test_groups_are_unfrozen_one_after_the_other(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dermtl.training.loop import trainer as loop

    real, seen = loop.set_trainable, []

    def noted(network: Any, trained: Any, norms: str) -> None:
        seen.append(len(trained))
        real(network, trained, norms)

    monkeypatch.setattr(loop, "set_trainable", noted)
    stages = "training.stages=[{train: 'last:3', epochs: 7, unfreeze_epochs: 2, lr: 1e-2}]"
    run = train_tiny(tmp_path / "run", stages, "training.augmentation=none")
    assert seen == [0, 0, 1, 1, 2, 2, 3]
    assert len(rows(run)) == 7


def test_a_finished_run_can_be_given_more_epochs(train_tiny: Train, tmp_path: Path) -> None:
    constant = "training.stages=[{train: all, epochs: %d, lr: 1e-3, schedule: constant}]"
    whole = train_tiny(tmp_path / "whole", constant % 3)
    train_tiny(tmp_path / "run", constant % 1)
    run = train_tiny(tmp_path / "run", constant % 3, resume=True)
    assert run.last.read_bytes() == whole.last.read_bytes()
    assert run.best.read_bytes() == whole.best.read_bytes()
    assert load_run(run.path).experiment.training.stages[0].epochs == 3
    with pytest.raises(ConfigError, match=r"stages\.0\.epochs: 3 -> 2"):
        train_tiny(tmp_path / "run", constant % 2, resume=True)


def test_a_stage_that_is_over_gets_no_more_epochs(train_tiny: Train, tmp_path: Path) -> None:
    stages = "training.stages=[{train: head, epochs: %d}, {train: all, epochs: %d}]"
    train_tiny(tmp_path / "run", stages % (1, 1))
    with pytest.raises(ConfigError, match=r"stages\.0\.epochs: 1 -> 2"):
        train_tiny(tmp_path / "run", stages % (2, 1), resume=True)
    run = train_tiny(tmp_path / "run", stages % (1, 2), resume=True)
    assert [row["stage"] for row in rows(run)] == ["1", "2", "2"]


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps", "xpu"])
def test_a_step_seeds_the_generators_of_its_device(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dermtl.training.loop.step import _seed

    seen: list[int] = []
    if kind != "cpu":
        monkeypatch.setattr(torch.get_device_module(kind), "manual_seed", seen.append)
    _seed(7, torch.device(kind))
    drawn = torch.rand(3)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(7)))
    assert seen == ([] if kind == "cpu" else [7])


def test_a_norm_that_sees_one_value_is_told(train_tiny: Train, tmp_path: Path) -> None:
    """At 32 px the last map has one pixel, and four parts of four pictures have one each."""
    with pytest.raises(ConfigError, match=r"cannot learn from one picture.*training\.accumulate"):
        train_tiny(tmp_path / "run", "backbone.image_size=32", "training.accumulate=4")
