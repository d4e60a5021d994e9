"""timm's optimisers and schedules on the groups of one stage. Knows no loop and no device."""

import logging
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
from timm.optim import create_optimizer_v2, list_optimizers
from timm.scheduler import create_scheduler_v2
from torch import nn

from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.model.network import Network
from dermtl.training.optim.layer_groups import LayerGroup
from dermtl.training.optim.learning_rates import parameter_groups

_log = logging.getLogger(__name__)
_ERRORS = (AssertionError, KeyError, TypeError, ValueError, RuntimeError)


def try_optimiser(stage: Stage, accelerator: str) -> None:
    """Check a stage's optimiser by a few steps on small tensors.

    Some need more than gradients: adahessian needs the graph of the backward pass, which training frees.

    Args:
        stage: Stage that names the optimiser and its options.
        accelerator: Accelerator of the experiment; some optimisers run on GPUs only.

    Raises:
        ConfigError: timm cannot build the optimiser, or it cannot step.
    """
    device = torch.device("cpu")
    if accelerator != "cpu":
        device = torch.accelerator.current_accelerator(check_available=True) or device
    tensors = [nn.Parameter(torch.ones(shape, device=device)) for shape in ((4,), (4, 3), (4, 3, 3, 3))]
    optimiser = _create(stage, [{"params": tensors, "lr": stage.lr, "weight_decay": stage.weight_decay}])
    with torch.random.fork_rng(devices=[]):
        for _ in range(2):
            optimiser.zero_grad()
            torch.autograd.backward([(tensor**2).sum() for tensor in tensors])
            try:
                optimiser.step()
            except Exception as error:
                reason = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
                raise ConfigError(
                    f"optimizer: timm's {stage.optimizer} cannot take a step here: {reason}",
                    hint="it needs more than gradients, or other options; adamw, sgd, lion and most others do without",
                ) from error


def build_optimiser(
    network: Network,
    stage: Stage,
    groups: Sequence[LayerGroup],
    updates_per_epoch: int,
    others: Sequence[nn.Parameter] = (),
) -> tuple[Any, Any]:
    """The optimiser of a stage and its learning-rate schedule.

    Args:
        network: Network to train.
        stage: Stage with optimiser, schedule and rates.
        groups: All groups of the backbone, from input to output.
        updates_per_epoch: Number of batches per epoch; the schedule moves after each.
        others: Further parameters, which learn at the rate of the heads.

    Returns:
        A torch optimiser; and a timm schedule, which ``step_update`` moves, or None for ``none``.

    Raises:
        ConfigError: timm does not know the names, or does not accept the stage's options.
    """
    rated = parameter_groups(network, stage, groups, others)
    for group in rated:
        _log.debug("%s: lr %.3g, %d tensors", group["name"], group["lr"], len(group["params"]))  # type: ignore[arg-type]
    # Steps of factor 1 are a constant rate with warm-up, in every version of timm.
    shape = {"sched": "step", "decay_rate": 1.0} if stage.schedule == "constant" else {"sched": stage.schedule}
    optimiser = _create(stage, rated)
    try:
        schedule, _ = create_scheduler_v2(
            optimiser,
            **shape,
            num_epochs=stage.epochs,
            warmup_epochs=stage.warmup_epochs,
            **{"warmup_lr": 0.0} | stage.schedule_options,
            step_on_epochs=False,
            updates_per_epoch=updates_per_epoch,
        )
    except _ERRORS as error:
        raise ConfigError(f"timm cannot make {stage.optimizer} with {stage.schedule}: {error}") from error
    if schedule is None and stage.schedule != "none":
        raise ConfigError(f"timm knows no schedule {stage.schedule!r}", hint="for example cosine, step, constant")
    return optimiser, schedule


def _create(stage: Stage, rated: list[dict[str, object]]) -> Any:
    try:
        return create_optimizer_v2(
            rated, opt=stage.optimizer, lr=stage.lr, weight_decay=stage.weight_decay, **stage.optimizer_options
        )
    except _ERRORS as error:
        known = list_optimizers()
        near = [] if stage.optimizer.lower() in known else get_close_matches(stage.optimizer, known, n=3)
        hint = f"near names: {', '.join(near)}" if near else ""
        raise ConfigError(f"timm cannot make {stage.optimizer}: {error}", hint=hint) from error
