"""One step of the optimiser on one batch, in one part or several, on one process or several."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from dermtl.config.training import Stage, Training
from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.kinds import Record
from dermtl.training.data.batch_order import keyed_seed
from dermtl.training.data.dataset import Batch
from dermtl.training.data.image_size import shrink
from dermtl.training.data.mixup import Mixing, Targets
from dermtl.training.distributed.loss_averaging import RunningMeans, denominator_of, sum_denominators
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.loss_module import LossModule


class Step:
    """Updates the weights by one batch.

    A batch may be computed in several parts, on several processes. Each part divides by the denominators of the whole
    batch (:mod:`~dermtl.training.distributed.loss_averaging`), so the sum of the gradients is that of the whole batch;
    only BatchNorm sees each part by itself.

    Args:
        training: Section of the experiment with clipping, parts, precision and seed.
        processes: Processes of the run.
        module: Network and loss.
        mixing: Mixup and cutmix, if wanted.
        records: Training records, for messages.

    Raises:
        ConfigError: The loss compares the rows of a batch with one another, and a key splits or mixes batches.
    """

    def __init__(
        self,
        training: Training,
        processes: ProcessGroup,
        module: LossModule,
        mixing: Mixing | None,
        records: Sequence[Record],
    ) -> None:
        _refuse_parts(training, processes, module.objective)
        self._training = training
        self._processes = processes
        self._module = module
        self._mixing = mixing
        self._records = records
        self._wrapped: Any = None
        self._optimizer: Any = None
        self._image_size: int | None = None

    def set_up(self, stage: Stage, optimizer: Any) -> None:
        """Prepare for the steps that follow; call it whenever other layers learn than before.

        Args:
            stage: Stage with the size of the pictures.
            optimizer: Optimiser, as Fabric set it up.
        """
        self._wrapped = None  # drop the old wrapper first, whose hooks on the gradients would stay registered
        self._wrapped = self._processes.fabric.setup_module(self._module)
        self._optimizer = optimizer
        self._image_size = stage.image_size

    def __call__(self, batch: Batch, means: RunningMeans, number: int, *, stop: bool = False) -> bool:
        """Take the step.

        Args:
            batch: This process's part of the batch.
            means: Mean losses of the epoch, to which this batch is added.
            number: Number of the step in the run, which seeds dropout and mixing.
            stop: Whether this process received a signal to stop.

        Returns:
            Whether any process received a signal to stop; the same on all processes.

        Raises:
            NonFiniteLoss: Loss or gradient is not finite; the weights are as before the step.
            ConfigError: A part of the batch is too small for the network's norms.
        """
        training, device = self._training, self._processes.device
        images: Any = batch.images.to(device)
        targets: Targets = batch.targets_on(device)
        if batch.features is None:
            images = shrink(images, self._image_size)
        if self._mixing is not None:
            images, targets = self._mixing(images, targets, keyed_seed(training.seed, 2, number))
        own_totals = self._module.objective.denominators(targets)
        of_processes = self._processes.gather((own_totals, len(batch.indices), stop))
        totals = sum_denominators([part[0] for part in of_processes])
        num = sum(part[1] for part in of_processes)
        stop = any(part[2] for part in of_processes)
        if not totals:
            return stop  # no record of this batch has any target
        rank = self._processes.rank
        _seed(keyed_seed(training.seed, 1, number, *([rank] if rank else [])), device)  # dropout
        self._optimizer.zero_grad(set_to_none=True)
        # Equally many parts on every process, since sharded processes communicate after each part.
        parts = list(_parts(len(images), min(training.accumulate, num // self._processes.num)))
        loss_sum, numerators = 0.0, dict[str, float]()
        for index, (start, end) in enumerate(parts):
            part_targets = targets if len(parts) == 1 else _within(targets, start, end)
            features = batch.features.part(start, end).to(device).tensors if batch.features is not None else []
            is_last = index + 1 == len(parts)
            with nullcontext() if is_last else self._processes.no_sync(self._wrapped):
                with _explained_norm_errors():
                    loss, sums = self._wrapped(images[start:end], part_targets, totals, features)
                value = float(loss.detach())
                if not np.isfinite(value):
                    bad = [name for name, numerator in sums.items() if not torch.isfinite(numerator)]
                    raise self._non_finite("the loss", bad, batch, number)
                self._processes.backward(loss)
            loss_sum += value
            for name, numerator in sums.items():
                numerators[name] = numerators.get(name, 0.0) + float(numerator)
        self._clip(batch, list(targets), number)
        self._optimizer.step()
        for name, total in numerators.items():
            head, term = name.split(".loss.", 1)
            means.add(name, total, denominator_of(term, own_totals[head]))
        means.add("loss", loss_sum * num, len(batch.indices))
        return stop

    def _clip(self, batch: Batch, heads: Sequence[str], number: int) -> None:
        """Limit the norm of the gradient, and check that it is finite."""
        training = self._training
        if training.clip_grad is None:
            return
        norm = self._processes.fabric.clip_gradients(
            self._wrapped, self._optimizer, max_norm=training.clip_grad, error_if_nonfinite=False
        )
        scaled = training.precision == "16-mixed"  # the scaler of 16-bit training skips steps that overflow
        if norm is not None and not scaled and not torch.isfinite(norm):
            raise self._non_finite("the gradient", heads, batch, number)

    def _non_finite(self, what: str, names: Sequence[str], batch: Batch, number: int) -> NonFiniteLoss:
        images = ", ".join(self._records[index].image for index in batch.indices)
        return NonFiniteLoss(
            f"{what} is not finite at step {number} (terms: {', '.join(names)}; batch: {images})",
            hint="lower lr, or check these records; the last good checkpoint is kept",
        )


@contextmanager
def _explained_norm_errors() -> Iterator[None]:
    """Explain BatchNorm's error if a part is a single picture whose map has one pixel."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ConfigError(
            "a norm of this network cannot learn from one picture of this size at a time",
            hint="raise training.batch_size or backbone.image_size, lower training.accumulate, or use fewer processes",
        ) from error


def _refuse_parts(training: Training, processes: ProcessGroup, objective: Objective) -> None:
    """Check that a loss that compares rows gets whole, unmixed batches.

    Raises:
        ConfigError: A key splits or mixes batches.
    """
    together = [name for name, head in objective.heads.items() if head.rows == "together"]
    splits = {
        f"training.accumulate: {training.accumulate}": training.accumulate > 1,
        f"{processes.num} processes": processes.num > 1,
        "training.mix": training.mix is not None,
    }
    for key, applies in splits.items():
        if together and applies:
            raise ConfigError(
                f"{key}: the loss of head {together[0]!r} compares the rows of a batch with one another",
                hint="train with accumulate: 1, in one process and without mix",
            )


def _seed(seed: int, device: torch.device) -> None:
    """Seed without ``torch.manual_seed``, which stores a traceback at every call for every device never used."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)  # mps has no manual_seed_all


def _parts(num: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Start and end of about equal parts, none of them empty."""
    edges = np.linspace(0, num, min(wanted, num) + 1).round().astype(int).tolist()
    yield from pairwise(edges)


def _within(targets: Targets, start: int, end: int) -> Targets:
    """The targets of rows ``start`` to ``end``; rows are counted from ``start``."""
    part: Targets = {}
    for name, (rows, target) in targets.items():
        inside = (rows >= start) & (rows < end)
        if bool(inside.any()):
            part[name] = (rows[inside] - start, target[inside])
    return part
