"""The learning-rate range test: the rate rises from step to step while the loss is watched."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermtl.config.load import load_experiment
from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.files.atomic import write_atomic
from dermtl.training.data.batch_source import Feeds
from dermtl.training.data.dataset import Batch
from dermtl.training.data.mixup import plan_mixing
from dermtl.training.distributed.process_group import Processes
from dermtl.training.loop.loss import Learner, Means, Objective
from dermtl.training.loop.phases import phases_of
from dermtl.training.loop.step import Step
from dermtl.training.optim.optimiser import build_optimiser
from dermtl.training.optim.parameter_groups import backbone_groups, freeze, select
from dermtl.training.prepare import make_examples, make_network, prepare

_MEMORY = 0.9  # of the smoothed loss, a step
_DIVERGED = 3.0  # times its least value: the test is over
_LEAST = 10  # steps without which nothing can be said


@dataclass(frozen=True)
class RateTest:
    """What was seen.

    Attributes:
        rates: The heads' rate at each step, rising.
        losses: Loss of the step's batch.
        smoothed: Running mean of the losses, corrected for its start.
        suggested: The rate at which the smoothed loss fell fastest per decade; None where it never fell.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    suggested: float | None


def find_rate(
    path: Path, overrides: Sequence[str] = (), *, stage: int = 1, steps: int = 100, low: float = 1e-6, high: float = 1.0
) -> RateTest:
    """Try rates on the first weights of an experiment, which are thrown away afterwards; nothing is written.

    Every group keeps its ratio to the heads' rate, as ``backbone_lr`` and ``layer_decay`` say.

    Args:
        path: The experiment file.
        overrides: ``a.b=value`` each.
        stage: Which of its stages, counted from 1.
        steps: Batches to take at most; the pass over the records begins again where they end.
        low: First rate of the heads.
        high: Last one.

    Raises:
        ConfigError: The experiment or an argument is wrong.

    Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3; the suggestion is the
    steepest descent, as fastai offers it.
    """
    experiment, source = load_experiment(path, overrides)
    training = experiment.training
    phases = [phase for phase in phases_of(training.stages) if phase.number == stage]
    if not phases:
        raise ConfigError(f"there is no stage {stage}", where=str(path), hint=f"1 to {len(training.stages)}")
    if not 0 < low < high or steps < _LEAST:
        raise ConfigError(f"expected 0 < low < high and {_LEAST} steps or more, got {low:g}, {high:g}, {steps}")
    chosen = phases[-1].stage.model_copy(update={"schedule": "constant", "warmup_epochs": 0.0, "unfreeze_epochs": None})
    processes, prepared = Processes(training), prepare(experiment, source)
    examples, validation = make_examples(prepared, source)
    network = processes.place(make_network(prepared, source))
    objective = Objective(network, {name: plan.loss_weight for name, plan in prepared.plans.items()})
    feeds = Feeds(training, processes, network, examples, validation)
    mixing = plan_mixing(training.mix, network, prepared.plans)
    step = Step(training, processes, objective, mixing, examples.records)
    step.image_size = chosen.image_size
    groups = backbone_groups(network)
    optimizer, _ = build_optimiser(network, chosen, groups, len(feeds.order))
    ratios = [group["lr"] / chosen.lr for group in optimizer.param_groups]
    optimizer = processes.fabric.setup_optimizers(optimizer)
    network.train()
    freeze(network, select(chosen, groups), chosen.norms)
    step.learner = processes.fabric.setup_module(Learner(network, objective, tied=processes.sharded))
    rates: list[float] = np.geomspace(low, high, steps).tolist()
    losses: list[float] = []
    for number, (rate, batch) in enumerate(zip(rates, _endless(feeds), strict=False)):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = rate * ratio
        means = Means()
        try:
            step(batch, optimizer, means, number)
        except NonFiniteLoss:
            break
        losses.append(means.values().get("loss", losses[-1] if losses else 0.0))
        if len(losses) > _LEAST and smooth(losses)[-1] > _DIVERGED * min(smooth(losses)):
            break
    feeds.close()
    return judge(rates[: len(losses)], losses)


def judge(rates: Sequence[float], losses: Sequence[float]) -> RateTest:
    """Smooth the losses and look for their steepest fall.

    Args:
        rates: Rising by a constant factor.
        losses: One a rate.
    """
    smoothed = smooth(losses)
    suggested = None
    if len(losses) >= _LEAST:
        slopes = np.gradient(np.array(smoothed), np.log10(rates))
        lowest = int(np.argmin(smoothed))
        steepest = int(np.argmin(slopes[: lowest + 1]))
        suggested = float(rates[steepest]) if slopes[steepest] < 0 else None
    return RateTest(list(rates), list(losses), smoothed, suggested)


def smooth(losses: Sequence[float]) -> list[float]:
    """Exponential running mean, divided by the weight that it has gathered so far."""
    found, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        found.append(mean / (1 - _MEMORY**number))
    return found


def draw_test(test: RateTest, path: Path) -> None:
    """Write the plot; the file's ending says its form."""
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


def _endless(feeds: Feeds) -> Iterator[Batch]:
    """Batches of epoch after epoch."""
    while True:
        yield from feeds.train()
        feeds.order.epoch += 1
