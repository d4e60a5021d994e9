"""The learning-rate range test: the rate rises from step to step while the loss is recorded."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermtl.config.load import load_experiment
from dermtl.config.training import Stage, Training
from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.files.atomic import write_atomic
from dermtl.training.data.batch_source import BatchSource
from dermtl.training.data.dataset import Batch
from dermtl.training.data.mixup import plan_mixing
from dermtl.training.distributed.loss_averaging import RunningMeans
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.loss_module import LossModule
from dermtl.training.loop.phases import phases_of
from dermtl.training.loop.step import Step
from dermtl.training.optim.freezing import set_trainable
from dermtl.training.optim.layer_groups import backbone_groups, trainable_groups
from dermtl.training.optim.optimiser import build_optimiser
from dermtl.training.prepare import make_examples, make_network, prepare

_SMOOTHING = 0.9  # share of the smoothed loss that remains after a step
_DIVERGED = 3.0  # the test ends when the smoothed loss exceeds its minimum by this factor
_MIN_STEPS = 10  # fewer steps give no suggestion


@dataclass(frozen=True)
class RateTest:
    """Result of a learning-rate range test.

    Attributes:
        rates: Learning rate of the heads at each step, rising.
        losses: Loss of each step's batch.
        smoothed: Exponential moving average of the losses, corrected for its start.
        suggested: Rate at which the smoothed loss fell fastest per decade; None if it never fell.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    suggested: float | None


def find_rate(
    path: Path, overrides: Sequence[str] = (), *, stage: int = 1, steps: int = 100, low: float = 1e-6, high: float = 1.0
) -> RateTest:
    """Try rising learning rates on an experiment; weights are discarded and nothing is written.

    Every layer group keeps its ratio to the heads' rate, as ``backbone_lr`` and ``layer_decay`` define it.

    Args:
        path: Experiment file.
        overrides: Overrides ``a.b=value``.
        stage: Number of the experiment's stage, counted from 1.
        steps: Largest number of batches; the records are passed again if they are too few.
        low: First rate of the heads.
        high: Last rate of the heads.

    Raises:
        ConfigError: The experiment or an argument is wrong.

    Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3; the suggestion is the
    steepest descent, as in fastai.
    """
    experiment, source = load_experiment(path, overrides)
    training = experiment.training
    tested = _stage_to_test(training, stage, path)
    if not 0 < low < high or steps < _MIN_STEPS:
        raise ConfigError(f"expected 0 < low < high and {_MIN_STEPS} steps or more, got {low:g}, {high:g}, {steps}")
    processes, prepared = ProcessGroup(training), prepare(experiment, source)
    examples, validation = make_examples(prepared, source)
    network = processes.to_device(make_network(prepared, source))
    objective = Objective(network, {name: plan.loss_weight for name, plan in prepared.plans.items()})
    batches = BatchSource(training, processes, network, examples, validation)
    module = LossModule(network, objective, tied=processes.sharded)
    step = Step(training, processes, module, plan_mixing(training.mix, network, prepared.plans), examples.records)
    groups = backbone_groups(network)
    optimizer, _ = build_optimiser(network, tested, groups, len(batches.order))
    ratios = [group["lr"] / tested.lr for group in optimizer.param_groups]
    optimizer = processes.fabric.setup_optimizers(optimizer)
    network.train()
    set_trainable(network, trainable_groups(tested, groups), tested.norms)
    step.set_up(tested, optimizer)
    rates: list[float] = np.geomspace(low, high, steps).tolist()
    losses: list[float] = []
    for number, (rate, batch) in enumerate(zip(rates, _endless(batches), strict=False)):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = rate * ratio
        means = RunningMeans()
        try:
            step(batch, means, number)
        except NonFiniteLoss:
            break
        losses.append(means.values().get("loss", losses[-1] if losses else 0.0))
        if len(losses) > _MIN_STEPS and smooth(losses)[-1] > _DIVERGED * min(smooth(losses)):
            break
    batches.close()
    return suggest_rate(rates[: len(losses)], losses)


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> RateTest:
    """Smooth the losses and find their steepest fall.

    Args:
        rates: Learning rates, rising by a constant factor.
        losses: One loss per rate.
    """
    smoothed = smooth(losses)
    suggested = None
    if len(losses) >= _MIN_STEPS:
        slopes = np.gradient(np.array(smoothed), np.log10(rates))
        lowest = int(np.argmin(smoothed))
        steepest = int(np.argmin(slopes[: lowest + 1]))
        suggested = float(rates[steepest]) if slopes[steepest] < 0 else None
    return RateTest(list(rates), list(losses), smoothed, suggested)


def smooth(losses: Sequence[float]) -> list[float]:
    """Exponential moving average, divided by the sum of its weights so far."""
    smoothed, average = [], 0.0
    for number, loss in enumerate(losses, 1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed.append(average / (1 - _SMOOTHING**number))
    return smoothed


def draw_test(test: RateTest, path: Path) -> None:
    """Plot losses over rates; the file's ending is the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(test.rates, test.losses, color="0.8", linewidth=1, label="loss of a batch")
    axes.plot(test.rates, test.smoothed, linewidth=1.5, label="smoothed")
    if test.suggested is not None:
        axes.axvline(test.suggested, color="0.3", linestyle="--", label=f"steepest: {test.suggested:.2g}")
    finite = [loss for loss in test.smoothed if math.isfinite(loss)]
    if finite:
        axes.set_ylim(min(finite) * 0.8, min(max(finite), 2 * finite[0]) * 1.1)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate of the heads")
    axes.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix(".") or "png", dpi=120)
    write_atomic(path, content.getvalue())


def _stage_to_test(training: Training, number: int, path: Path) -> Stage:
    """The stage with its last phase's layers, a constant schedule, no warm-up and everything unfrozen.

    Raises:
        ConfigError: There is no such stage.
    """
    phases = [phase for phase in phases_of(training.stages) if phase.number == number]
    if not phases:
        raise ConfigError(f"there is no stage {number}", where=str(path), hint=f"1 to {len(training.stages)}")
    changes = {"schedule": "constant", "warmup_epochs": 0.0, "unfreeze_epochs": None}
    return phases[-1].stage.model_copy(update=changes)


def _endless(source: BatchSource) -> Iterator[Batch]:
    """The training batches of one epoch after the other."""
    while True:
        yield from source.train()
        source.order.epoch += 1
