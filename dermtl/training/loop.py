"""The loop over stages, epochs and batches on Lightning Fabric.

Everything random is keyed by (seed, epoch, sample) or (seed, step), so a run that was stopped anywhere and resumed
passes through the same weights as one that was not.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric

from dermtl.config.training import Training
from dermtl.errors import CheckpointError, ConfigError, NonFiniteLoss
from dermtl.model.checkpoint import load_state, load_weights, save_state, save_weights
from dermtl.model.network import Network
from dermtl.model.run import RunFolder
from dermtl.plugins.plan import HeadPlan
from dermtl.tracking.trackers import Trackers
from dermtl.training.dataset import Batch, Examples, load_batches
from dermtl.training.interruption import StopSignals
from dermtl.training.objective import Means, Objective
from dermtl.training.optimiser import build_optimiser
from dermtl.training.progress import Progress
from dermtl.training.sampling import BatchOrder, balanced_shares, keyed_seed
from dermtl.training.stages import backbone_groups, freeze, select
from dermtl.training.validate import validate


@dataclass
class Position:
    """How far training has come: everything but tensors that a continuation needs.

    Attributes:
        stage: Index of the stage.
        epoch: Epochs done in this stage.
        total_epochs: Epochs done in all stages; the key of everything random.
        batch: Batches done in the epoch at hand.
        steps: Optimiser steps in all.
        best: Lowest validation loss so far.
        mark: Validation loss that patience counts from: the best when it last fell by ``min_delta``.
        stale: Epochs of this stage since then.
        sums: Of the losses of the epoch at hand.
        counts: Rows behind ``sums``.
        history: Rows of metrics.csv.
    """

    stage: int = 0
    epoch: int = 0
    total_epochs: int = 0
    batch: int = 0
    steps: int = 0
    best: float = float("inf")
    mark: float = float("inf")
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Trains one network through all stages.

    Args:
        training: The experiment's section.
        network: With its first weights.
        plans: The heads.
        train: Training examples.
        val: Validation examples; may be empty, then the last weights count as the best.
        folder: Where everything is written.
    """

    def __init__(
        self,
        training: Training,
        network: Network,
        plans: Mapping[str, HeadPlan],
        train: Examples,
        val: Examples,
        folder: RunFolder,
    ) -> None:
        self._training = training
        self._network = network
        self._plans = plans
        self._folder = folder
        try:
            self._fabric = Fabric(accelerator=training.accelerator, devices=1, precision=training.precision)
        except (RuntimeError, ValueError) as error:  # a name it does not know, or a device that is not there
            chosen = f"{training.accelerator!r} with precision {training.precision!r}"
            reason = " ".join(str(error).split())
            raise ConfigError(f"training.accelerator: {chosen} cannot be used: {reason}") from error
        self._module = self._fabric.setup_module(network)
        self._objective = Objective(network, {name: plan.loss_weight for name, plan in plans.items()})
        self._groups = backbone_groups(network)
        shares = balanced_shares(train.records, list(train.kinds.values())) if training.sampler == "balanced" else None
        self._order = BatchOrder(len(train), training.batch_size, seed=training.seed, shares=shares)
        self._records = train.records
        loading = {"workers": training.workers, "pin_memory": self._fabric.device.type == "cuda"}
        self._train = load_batches(train, self._order, **loading)
        unshuffled = BatchOrder(len(val), training.batch_size, shuffle=False)
        self._val = load_batches(val, unshuffled, **loading) if len(val) else None
        self.position = Position()

    def fit(self, trackers: Trackers, *, resume: bool = False) -> None:
        """Train to the end.

        Args:
            trackers: Who is told of every epoch.
            resume: Go on from the folder's state.

        Raises:
            Interrupted: On a signal, after the state was written.
            NonFiniteLoss: The last good checkpoint stays.
            CheckpointError: There is nothing to resume from, or it is of another network.
        """
        optimizer_state = self._restore() if resume else None
        if self.position.history:
            trackers.epoch(self.position.history[-1])  # a kill may have come between saving and telling
        if not resume:
            self._save(None)  # a run that is killed in its first epoch can be resumed, too
        with StopSignals() as signals, Progress(self._training.stages, len(self._order)) as progress:
            while self.position.stage < len(self._training.stages):
                self._run_stage(optimizer_state, signals, progress, trackers)
                optimizer_state = None

    def _restore(self) -> dict[str, Any] | None:
        """Take up the stored position and weights; the optimiser's state, where there is one."""
        state = load_state(self._folder.state)
        try:
            self._network.load_state_dict(state["network"])
            self.position = Position(**state["position"])
            found: dict[str, Any] | None = state["optimizer"]
        except (KeyError, TypeError, RuntimeError) as error:
            message = f"is no state of this run: {str(error).splitlines()[0]}"
            raise CheckpointError(message, where=str(self._folder.state)) from error
        return found

    def _run_stage(
        self, optimizer_state: dict[str, Any] | None, signals: StopSignals, progress: Progress, trackers: Trackers
    ) -> None:
        position, stage = self.position, self._training.stages[self.position.stage]
        trained = select(stage, self._groups)
        self._network.train()
        freeze(self._network, trained)
        optimizer, schedule = build_optimiser(self._network, stage, self._groups, len(self._order))
        optimizer = self._fabric.setup_optimizers(optimizer)
        if optimizer_state is not None:
            optimizer.load_state_dict(optimizer_state)
        while position.epoch < stage.epochs and not self._is_stale():
            started = time.perf_counter()
            self._network.train()
            freeze(self._network, trained)
            self._run_epoch(optimizer, schedule, signals, progress)
            found = {f"train.{name}": value for name, value in Means(position.sums, position.counts).values().items()}
            if self._val is not None:
                checked = validate(self._network, self._val, self._plans, self._objective, self._fabric.device)
                self._refuse_non_finite(checked)
                found |= {f"val.{name}": value for name, value in checked.items()}
            self._finish_epoch(optimizer, found, time.perf_counter() - started)
            progress.report(position.history[-1])
            trackers.epoch(position.history[-1])
            signals.raise_if_caught(str(self._folder.path))
        load_weights(self._folder.best, self._network)  # a stage goes on from the best so far
        position.stage, position.epoch, position.stale = position.stage + 1, 0, 0
        self._save(None)

    def _run_epoch(self, optimizer: Any, schedule: Any, signals: StopSignals, progress: Progress) -> None:
        position = self.position
        self._order.epoch, self._order.start = position.total_epochs, position.batch
        means = Means(position.sums, position.counts)
        position.sums, position.counts = means.sums, means.counts
        for batch in self._train:
            torch.manual_seed(keyed_seed(self._training.seed, 1, position.steps))  # dropout
            if schedule is not None:
                schedule.step_update(position.epoch * len(self._order) + position.batch)
            self._step(batch, optimizer, means)
            position.batch += 1
            position.steps += 1
            progress.advance(position.stage, position.epoch, position.batch, means.values().get("loss"))
            if signals.caught is not None:
                self._save(optimizer)
                signals.raise_if_caught(str(self._folder.path))

    def _step(self, batch: Batch, optimizer: Any, means: Means) -> None:
        device = self._fabric.device
        raw = self._module(batch.images.to(device))
        targets = {name: (rows.to(device), target.to(device)) for name, (rows, target) in batch.targets.items()}
        loss, terms = self._objective(raw, targets)
        if loss is None:
            return  # no record of this batch has any target
        if not torch.isfinite(loss):
            bad = [name for name, value in terms.items() if not torch.isfinite(value)]
            raise self._non_finite("the loss", f"terms: {', '.join(bad)}", batch)
        optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(loss)
        if self._training.clip_grad is not None:
            norm = self._fabric.clip_gradients(
                self._module, optimizer, max_norm=self._training.clip_grad, error_if_nonfinite=False
            )
            scaled = self._training.precision == "16-mixed"  # overflowing scales are its scaler's business
            if norm is not None and not scaled and not torch.isfinite(norm):
                raise self._non_finite("the gradient", f"terms: {', '.join(terms)}", batch)
        optimizer.step()
        means.add("loss", float(loss.detach()), len(batch.indices))
        for name, value in terms.items():
            means.add(name, float(value), len(batch.targets[name.partition(".")[0]][0]))

    def _non_finite(self, what: str, terms: str, batch: Batch) -> NonFiniteLoss:
        images = ", ".join(self._records[index].image for index in batch.indices)
        return NonFiniteLoss(
            f"{what} is not finite at step {self.position.steps} ({terms}; batch: {images})",
            where=str(self._folder.path),
            hint="lower lr, or check these records; the last good checkpoint is kept",
        )

    def _refuse_non_finite(self, checked: Mapping[str, float]) -> None:
        """Weights without a validation loss are not worth a checkpoint."""
        bad = [name for name, value in checked.items() if name.endswith("loss") and not math.isfinite(value)]
        if bad:
            raise NonFiniteLoss(
                f"the validation loss is not finite after epoch {self.position.total_epochs + 1} ({', '.join(bad)})",
                where=str(self._folder.path),
                hint="lower lr; the last good checkpoint is kept",
            )

    def _finish_epoch(self, optimizer: Any, found: dict[str, float], seconds: float) -> None:
        position = self.position
        position.total_epochs += 1
        row = {
            "epoch": position.total_epochs,
            "stage": position.stage + 1,
            "lr": optimizer.param_groups[0]["lr"],
            "seconds": round(seconds, 2),
            **found,
        }
        position.history.append(row)
        position.epoch += 1
        position.batch, position.sums, position.counts = 0, {}, {}
        loss = found.get("val.loss")
        least = self._training.early_stopping.min_delta if self._training.early_stopping else 0.0
        if loss is None or loss < position.best:
            save_weights(self._folder.best, self._network.state_dict())
        if loss is not None:
            position.best = min(position.best, loss)
            fell = loss < position.mark - least
            position.mark, position.stale = (loss, 0) if fell else (position.mark, position.stale + 1)
        save_weights(self._folder.last, self._network.state_dict())
        self._folder.write_metrics(position.history)
        self._save(optimizer)

    def _save(self, optimizer: Any) -> None:
        network = {name: tensor.detach().cpu() for name, tensor in self._network.state_dict().items()}
        state = {
            "network": network,
            "optimizer": optimizer.state_dict() if optimizer is not None else None,
            "position": asdict(self.position),
        }
        save_state(self._folder.state, state)

    def _is_stale(self) -> bool:
        stopping = self._training.early_stopping
        return stopping is not None and self._val is not None and self.position.stale >= stopping.patience
