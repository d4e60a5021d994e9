"""One step of the optimiser on one batch, in one part or several, on one process or several."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from dermtl.config.training import Training
from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.kinds import Record
from dermtl.training.data.batch_order import keyed_seed
from dermtl.training.data.dataset import Batch
from dermtl.training.data.image_size import shrunk
from dermtl.training.data.mixup import Mixing, Targets
from dermtl.training.distributed.process_group import Processes
from dermtl.training.loop.loss import Means, Objective, add_up, denominator_of


class Step:
    """Moves the weights by one batch.

    Every part and process divides by the denominators of the whole batch, which are summed from the targets before the
    first gradient, so that the sum of their gradients is that of the whole batch at once; only BatchNorm sees each
    part by itself.

    Args:
        training: Clipping, parts, precision, seed.
        processes: Whose gradients are averaged.
        objective: The loss, for its denominators.
        mixing: Blends batches first.
        records: What batches are of, for messages.

    Attributes:
        learner: The :class:`~dermtl.training.loop.loss.Learner` as Fabric set it up.
        image_size: Side of the pictures that the network sees; None for as they come.
    """

    learner: Any
    image_size: int | None = None

    def __init__(
        self,
        training: Training,
        processes: Processes,
        objective: Objective,
        mixing: Mixing | None,
        records: Sequence[Record],
    ) -> None:
        self._records = records
        self._training = training
        self._processes = processes
        self._objective = objective
        _refuse_parts(training, processes, objective)
        self._mixing = mixing

    def __call__(self, batch: Batch, optimizer: Any, means: Means, number: int, *, stop: bool = False) -> bool:
        """Take the step.

        Args:
            batch: This process's part of the batch.
            optimizer: As Fabric set it up.
            means: Takes up the loss and its terms.
            number: Of the step in the run; seeds dropout and blending.
            stop: Whether this process was asked to stop.

        Returns:
            Whether any process was asked to stop, as all of them know alike.

        Raises:
            NonFiniteLoss: Naming the heads and the records; the weights are as they were.
            ConfigError: A part of the batch is too small for the network's norms.
        """
        training, device = self._training, self._processes.device
        images: Any = batch.images.to(device)
        targets: Targets = {n: (rows.to(device), target.to(device)) for n, (rows, target) in batch.targets.items()}
        if batch.features is None:
            images = shrunk(images, self.image_size)
        if self._mixing is not None:
            images, targets = self._mixing(images, targets, keyed_seed(training.seed, 2, number))
        own_totals = self._objective.denominators(targets)
        known = self._processes.gather((own_totals, len(batch.indices), stop))
        totals, num, stops = (
            add_up([own[0] for own in known]),
            sum(own[1] for own in known),
            any(own[2] for own in known),
        )
        if not totals:
            return stops  # no record of this batch has any target
        rank = self._processes.rank
        _seed(keyed_seed(training.seed, 1, number, *([rank] if rank else [])), device)  # dropout
        optimizer.zero_grad(set_to_none=True)
        # As many parts on every process, since sharded ones exchange after each.
        parts = list(_parts(len(images), min(training.accumulate, num // self._processes.num)))
        summed, numerators = 0.0, dict[str, float]()
        for place, (start, end) in enumerate(parts):
            own = targets if len(parts) == 1 else _within(targets, start, end)
            features = batch.features.part(start, end).to(device).tensors if batch.features is not None else []
            quiet = self._processes.without_exchange(self.learner) if place + 1 < len(parts) else nullcontext()
            with quiet:
                with _told():
                    loss, sums = self.learner(images[start:end], own, totals, features)
                value = float(loss.detach())
                if not np.isfinite(value):
                    bad = [name for name, numerator in sums.items() if not torch.isfinite(numerator)]
                    raise self._non_finite("the loss", bad, batch, number)
                self._processes.fabric.backward(loss * self._processes.num)
            summed += value
            for name, numerator in sums.items():
                numerators[name] = numerators.get(name, 0.0) + float(numerator)
        if training.clip_grad is not None:
            norm = self._processes.fabric.clip_gradients(
                self.learner, optimizer, max_norm=training.clip_grad, error_if_nonfinite=False
            )
            scaled = training.precision == "16-mixed"  # overflowing scales are its scaler's business
            if norm is not None and not scaled and not torch.isfinite(norm):
                raise self._non_finite("the gradient", list(targets), batch, number)
        optimizer.step()
        for name, numerator in numerators.items():
            head, term = name.split(".loss.", 1)
            means.add(name, numerator, denominator_of(own_totals[head], term))
        means.add("loss", summed * num, len(batch.indices))
        return stops

    def _non_finite(self, what: str, names: Sequence[str], batch: Batch, number: int) -> NonFiniteLoss:
        images = ", ".join(self._records[index].image for index in batch.indices)
        return NonFiniteLoss(
            f"{what} is not finite at step {number} (terms: {', '.join(names)}; batch: {images})",
            hint="lower lr, or check these records; the last good checkpoint is kept",
        )


@contextmanager
def _told() -> Iterator[None]:
    """BatchNorm cannot learn from one value: a single picture whose map is of one pixel."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ConfigError(
            "a norm of this network cannot learn from one picture of this size at a time",
            hint="raise training.batch_size or backbone.image_size, lower training.accumulate, or use fewer processes",
        ) from error


def _refuse_parts(training: Training, processes: Processes, objective: Objective) -> None:
    """Rows that see one another must come all at once, and as they are.

    Raises:
        ConfigError: Naming the key.
    """
    together = [name for name, head in objective.heads.items() if head.rows == "together"]
    asked = {
        f"training.accumulate: {training.accumulate}": training.accumulate > 1,
        f"{processes.num} processes": processes.num > 1,
        "training.mix": training.mix is not None,
    }
    for what, is_wrong in asked.items():
        if together and is_wrong:
            raise ConfigError(
                f"{what}: the loss of head {together[0]!r} compares the rows of a batch with one another",
                hint="train with accumulate: 1, in one process and without mix",
            )


def _seed(seed: int, device: torch.device) -> None:
    """As ``torch.manual_seed``, which notes a traceback for every device never used, at every call."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)  # mps has no manual_seed_all


def _parts(num: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Start and end of about equal parts, none of them empty."""
    edges = np.linspace(0, num, min(wanted, num) + 1).round().astype(int).tolist()
    yield from pairwise(edges)


def _within(targets: Targets, start: int, end: int) -> Targets:
    """The targets of rows ``start`` to ``end``, rows counted from ``start``."""
    found: Targets = {}
    for name, (rows, target) in targets.items():
        inside = (rows >= start) & (rows < end)
        if bool(inside.any()):
            found[name] = (rows[inside] - start, target[inside])
    return found
