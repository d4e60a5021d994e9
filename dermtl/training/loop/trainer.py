"""The loop over phases, epochs and batches.

Everything random is seeded by (seed, epoch, sample) or (seed, step), so a run that was stopped anywhere and resumed
passes through the same weights as an uninterrupted one.
"""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.model.checkpoint import load_weights
from dermtl.model.network import Network
from dermtl.runs.folder import RunFolder
from dermtl.training.data.batch_source import BatchSource
from dermtl.training.data.dataset import Examples
from dermtl.training.data.mixup import plan_mixing
from dermtl.training.distributed.loss_averaging import RunningMeans
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.listener import Listener
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.loss_module import LossModule
from dermtl.training.loop.phases import Phase, phases_of
from dermtl.training.loop.progress_bar import ProgressBar
from dermtl.training.loop.signals import StopSignals
from dermtl.training.loop.step import Step
from dermtl.training.loop.validate import Validator
from dermtl.training.optim.ema import WeightEma
from dermtl.training.optim.freezing import set_trainable
from dermtl.training.optim.layer_groups import backbone_groups, trainable_groups
from dermtl.training.optim.optimiser import build_optimiser
from dermtl.training.prepare import Prepared
from dermtl.training.resume.snapshot import Snapshot
from dermtl.training.resume.training_state import TrainingState
from dermtl.training.selection.best_weights import BestWeights
from dermtl.training.selection.criterion import column_of

_log = logging.getLogger(__name__)


class Trainer:
    """Trains one network through all stages.

    Args:
        prepared: Experiment and heads.
        network: Network with its initial weights.
        examples: Training and validation examples; without validation examples, the last weights are the best.
        folder: Folder of the run.
        processes: Processes of the run.

    Attributes:
        state: How far the training has come.

    Raises:
        ConfigError: The heads do not allow mixing, or ``train: auto`` has no validation records to compare by.
    """

    def __init__(
        self,
        prepared: Prepared,
        network: Network,
        examples: tuple[Examples, Examples],
        folder: RunFolder,
        processes: ProcessGroup,
    ) -> None:
        train, val = examples
        training, plans = prepared.experiment.training, prepared.plans
        self._phases = phases_of(training.stages)
        if any(phase.role for phase in self._phases) and not len(val):
            raise ConfigError("training.stages: auto chooses by validation records, and there are none")
        self._training = training
        self._plans = plans
        self._folder = folder
        self._processes = processes
        self._network = processes.to_device(network)
        weights = {name: plan.loss_weight for name, plan in plans.items()}
        self._objective = Objective(network, weights, learned=training.loss_weighting == "uncertainty")
        self._objective.to(processes.device)
        self._module = LossModule(network, self._objective, tied=processes.sharded)
        self._groups = backbone_groups(network)
        self._source = BatchSource(training, processes, network, train, val)
        mixing = plan_mixing(training.mix, network, plans)
        self._step = Step(training, processes, self._module, mixing, train.records)
        self._validator = Validator(network, plans, self._objective, processes.device, processes.gather)
        self._snapshot = Snapshot(folder, processes, network, self._objective)
        self._weights = BestWeights(training, network, self._validator, self._source, self._snapshot, folder, processes)
        self._signals = StopSignals()
        self._listeners: Sequence[Listener] = ()
        self.state = TrainingState()

    def restore(self) -> None:
        """Load the state of the run's folder.

        Raises:
            CheckpointError: There is no state, or it belongs to another network or version.
        """
        self.state = self._snapshot.restore()

    def fit(self, listeners: Sequence[Listener] = ()) -> None:
        """Train to the end.

        Args:
            listeners: Receive every batch and every epoch; what they raise ends the training.

        Raises:
            Interrupted: On a signal, after the state was written.
            NonFiniteLoss: The last good checkpoint stays.
        """
        if not self.state.steps:
            self._snapshot.save(self.state)  # a run that is killed in its first epoch can be resumed, too
        stages = [phase.stage for phase in self._phases]
        primary = {name: plan.metrics().primary for name, plan in self._plans.items()}
        selects = self._training.select.by != "last"
        progress = ProgressBar(self.state, stages, len(self._source.order), primary, selects=selects)
        self._listeners = (progress, *listeners)
        with self._signals, progress:
            try:
                self._run_phases()
            finally:
                self._source.close()

    def _run_phases(self) -> None:
        while True:
            phase = self._phases[self.state.phase]
            self._run_phase(phase)
            if phase.role == "finetune":
                self._weights.compare_with_probe(self.state, phase.number)
            if self.state.phase + 1 == len(self._phases):
                self._weights.use_soup(self.state)
                return  # the state stays in this phase, so that the run can be given more epochs
            self._end_phase(phase)

    def _run_phase(self, phase: Phase) -> None:
        state, stage, fabric = self.state, phase.stage, self._processes.fabric
        updates, others = len(self._source.order), list(self._objective.parameters())
        optimizer, schedule = build_optimiser(self._network, stage, self._groups, updates, others)
        optimizer = fabric.setup_optimizers(optimizer)
        decay = self._training.ema_decay
        ema = WeightEma(self._network, decay) if decay is not None else None
        self._snapshot.attach(optimizer, ema)
        num_trained: int | None = None
        while state.epoch < stage.epochs and not self._is_stopped_early():
            started = time.perf_counter()
            trained = trainable_groups(stage, self._groups, state.epoch)
            self._module.train()
            set_trainable(self._network, trained, stage.norms)
            if num_trained != len(trained):
                num_trained = len(trained)
                self._source.prepare(stage, frozen=not trained, after_batch=self._raise_if_signalled)
                self._step.set_up(stage, optimizer)
            self._run_epoch(schedule, ema)
            with ema.applied() if ema is not None else nullcontext():
                figures = self._measure_epoch()
                seconds = round(time.perf_counter() - started, 2)
                row = {"lr": optimizer.param_groups[0]["lr"], "seconds": seconds, **figures}
                self._weights.close_epoch(state, phase.number, row)
            self._snapshot.save(state)
            for listener in self._listeners:
                listener.on_epoch(state.history[-1])
            if self._processes.num == 1:  # several processes stop together, in a step
                self._raise_if_signalled()
        if state.epoch < stage.epochs:
            message = "stage %d stopped early, after %d of %d epochs: %s did not improve for %d epochs"
            column, _ = column_of(self._training.select.by)
            epochs = state.epochs_without_improvement
            _log.info(message, phase.number, state.epoch, stage.epochs, column, epochs)

    def _run_epoch(self, schedule: Any, ema: WeightEma | None) -> None:
        """Train on the batches of the current epoch that are not done yet."""
        state, order = self.state, self._source.order
        order.epoch, order.start = state.total_epochs, state.batch
        means = RunningMeans(state.sums, state.counts)
        state.sums, state.counts = means.sums, means.counts
        for batch in self._source.train():
            if schedule is not None:
                schedule.step_update(state.epoch * len(order) + state.batch)
            stop = self._step(batch, means, state.steps, stop=self._signals.caught is not None)
            if ema is not None:
                ema.update()
            state.batch += 1
            state.steps += 1
            loss = means.values().get("loss")
            for listener in self._listeners:
                listener.on_batch(loss)
            if stop or (self._processes.num == 1 and self._signals.caught is not None):
                self._snapshot.save(state)
                self._signals.set_caught()
                self._raise_if_signalled()

    def _measure_epoch(self) -> dict[str, float]:
        """The mean training losses of the current epoch, and losses and metrics of the validation records."""
        means = RunningMeans(self.state.sums, self.state.counts).pooled(self._processes.gather)
        figures = means.values() | self._objective.learned_weights()
        figures = {f"train.{name}": value for name, value in figures.items()}
        if (batches := self._source.val()) is None:
            return figures
        validated = self._validator.validate(batches)
        bad = [name for name, value in validated.items() if name.endswith("loss") and not math.isfinite(value)]
        if bad:  # weights without a validation loss are not worth a checkpoint
            raise NonFiniteLoss(
                f"the validation loss is not finite after epoch {self.state.total_epochs + 1} ({', '.join(bad)})",
                where=str(self._folder.path),
                hint="lower lr; the last good checkpoint is kept",
            )
        return figures | {f"val.{name}": value for name, value in validated.items()}

    def _end_phase(self, phase: Phase) -> None:
        """Move to the next phase, which begins with the best weights so far."""
        self._processes.barrier()
        load_weights(self._folder.best, self._network)
        if phase.role == "probe":
            self._weights.keep_probe(self.state)
        self.state.next_phase()
        self._snapshot.detach()
        self._snapshot.save(self.state)
        self._processes.barrier()

    def _is_stopped_early(self) -> bool:
        stopping = self._training.early_stopping
        return stopping is not None and self.state.epochs_without_improvement >= stopping.patience

    def _raise_if_signalled(self) -> None:
        self._signals.raise_if_caught(str(self._folder.path))
