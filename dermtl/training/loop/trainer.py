"""The loop over phases, epochs and batches.

Everything random is keyed by (seed, epoch, sample) or (seed, step), so a run that was stopped anywhere and resumed
passes through the same weights as one that was not.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from dermtl.config.training import Training
from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.files.atomic import link_atomic
from dermtl.model.checkpoint import load_weights
from dermtl.model.network import Network
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder
from dermtl.tracking.trackers import Trackers
from dermtl.training.data.batch_source import Feeds
from dermtl.training.data.dataset import Examples
from dermtl.training.data.mixup import plan_mixing
from dermtl.training.distributed.process_group import Processes
from dermtl.training.loop.loss import Learner, Means, Objective
from dermtl.training.loop.phases import Phase, phases_of
from dermtl.training.loop.progress_bar import Progress
from dermtl.training.loop.signals import StopSignals
from dermtl.training.loop.step import Step
from dermtl.training.loop.validate import validate
from dermtl.training.optim.moving_average import WeightMean
from dermtl.training.optim.optimiser import build_optimiser
from dermtl.training.optim.parameter_groups import Group, backbone_groups, freeze, thawed
from dermtl.training.resume.position import Position
from dermtl.training.resume.snapshot import Snapshot
from dermtl.training.selection.best_weights import BestWeights
from dermtl.training.selection.criterion import column_of

_log = logging.getLogger(__name__)


class Trainer:
    """Trains one network through all stages.

    Args:
        training: The experiment's section.
        network: With its first weights.
        plans: The heads.
        train: Training examples.
        val: Validation examples; may be empty, then the last weights count as the best.
        folder: Where everything is written.
        processes: Those of this run.

    Attributes:
        position: How far training has come.

    Raises:
        ConfigError: The heads do not go with blending, or ``train: auto`` has nothing to choose by.
    """

    def __init__(
        self,
        training: Training,
        network: Network,
        plans: Mapping[str, HeadPlan],
        train: Examples,
        val: Examples,
        folder: RunFolder,
        processes: Processes,
    ) -> None:
        self._training = training
        self._plans = plans
        self._folder = folder
        self._processes = processes
        self._phases = phases_of(training.stages)
        if any(phase.rivals for phase in self._phases) and not len(val):
            raise ConfigError("training.stages: auto chooses by validation records, and there are none")
        self._network = processes.place(network)
        weights = {name: plan.loss_weight for name, plan in plans.items()}
        self._objective = Objective(network, weights, learned=training.loss_weighting == "uncertainty")
        self._objective.to(processes.device)
        self._learner = Learner(network, self._objective, tied=processes.sharded)
        self._groups = backbone_groups(network)
        self._feeds = Feeds(training, processes, network, train, val)
        mixing = plan_mixing(training.mix, network, plans)
        self._step = Step(training, processes, self._objective, mixing, train.records)
        self._snapshot = Snapshot(folder, processes, network, self._objective)
        self._weights = BestWeights(
            training, network, plans, self._objective, self._feeds, folder, processes, self._snapshot
        )
        self.position = Position()

    def fit(
        self,
        trackers: Trackers,
        *,
        resume: bool = False,
        watch: Callable[[Mapping[str, Any]], None] = lambda row: None,
    ) -> None:
        """Train to the end.

        Args:
            trackers: Who is told of every epoch.
            resume: Go on from the folder's state.
            watch: Called with every row of metrics.csv; may raise to end the run.

        Raises:
            Interrupted: On a signal, after the state was written.
            NonFiniteLoss: The last good checkpoint stays.
            CheckpointError: There is nothing to resume from, or it is of another network.
        """
        if resume:
            self.position = self._snapshot.restore()
        self._processes.barrier()  # what all of them read, one of them writes from here on
        if self.position.history:
            trackers.epoch(self.position.history[-1])  # a kill may have come between saving and telling
        if not resume:
            self._snapshot.save(self.position)  # a run that is killed in its first epoch can be resumed, too
        stages = [phase.stage for phase in self._phases]
        primary = {name: plan.metrics().primary for name, plan in self._plans.items()}
        chooses = self._training.select.by != "last"
        with StopSignals() as signals, Progress(stages, len(self._feeds.order), primary, chooses=chooses) as progress:

            def told(row: Mapping[str, Any]) -> None:
                progress.report(row, self.position.stage)
                trackers.epoch(row)
                watch(row)

            try:
                self._run(signals, progress, told)
            finally:
                self._feeds.close()

    def _run(self, signals: StopSignals, progress: Progress, told: Callable[[Mapping[str, Any]], None]) -> None:
        while True:
            phase = self._phases[self.position.stage]
            self._run_phase(phase, signals, progress, told)
            if phase.rivals == "second":
                self._weights.compare(self.position, phase)
            if self.position.stage + 1 == len(self._phases):
                self._weights.blend(self.position)
                return  # the position stays where it is, so that the run can be given more epochs
            self._leave(phase)

    def _run_phase(
        self, phase: Phase, signals: StopSignals, progress: Progress, told: Callable[[Mapping[str, Any]], None]
    ) -> None:
        position, stage, where = self.position, phase.stage, str(self._folder.path)
        updates, others = len(self._feeds.order), list(self._objective.parameters())
        optimizer, schedule = build_optimiser(self._network, stage, self._groups, updates, others)
        optimizer = self._processes.fabric.setup_optimizers(optimizer)
        decay = self._training.ema_decay
        average = WeightMean(self._network, decay) if decay is not None else None
        self._snapshot.take_up(optimizer, average)
        self._step.image_size = stage.image_size
        trained: list[Group] | None = None
        while position.epoch < stage.epochs and not self._is_stale():
            started = time.perf_counter()
            wanted = thawed(stage, self._groups, position.epoch)
            self._learner.train()
            freeze(self._network, wanted, stage.norms)
            if trained is None or len(wanted) != len(trained):
                trained = wanted
                self._feeds.prepare(stage, frozen=not trained, after_batch=lambda: signals.raise_if_caught(where))
                self._step.learner = None  # lets go of the old one, which listens to gradients
                self._step.learner = self._processes.fabric.setup_module(self._learner)
            self._run_epoch(optimizer, schedule, average, signals, progress)
            with average.applied() if average is not None else nullcontext():
                found = self._check()
                seconds = round(time.perf_counter() - started, 2)
                self._weights.note(
                    position, phase, {"lr": optimizer.param_groups[0]["lr"], "seconds": seconds, **found}
                )
            self._snapshot.save(position)
            told(position.history[-1])
            if self._processes.num == 1:  # several stop together, in a step
                signals.raise_if_caught(where)
        if position.epoch < stage.epochs:
            message = "stage %d stopped early, after %d of %d epochs: %s did not improve for %d epochs"
            column, _ = column_of(self._training.select.by)
            _log.info(message, phase.number, position.epoch, stage.epochs, column, position.stale)

    def _run_epoch(
        self, optimizer: Any, schedule: Any, average: WeightMean | None, signals: StopSignals, progress: Progress
    ) -> None:
        position, order = self.position, self._feeds.order
        order.epoch, order.start = position.total_epochs, position.batch
        means = Means(position.sums, position.counts)
        position.sums, position.counts = means.sums, means.counts
        for batch in self._feeds.train():
            if schedule is not None:
                schedule.step_update(position.epoch * len(order) + position.batch)
            stop = self._step(batch, optimizer, means, position.steps, stop=signals.caught is not None)
            if average is not None:
                average.update()
            position.batch += 1
            position.steps += 1
            progress.advance(position.stage, position.epoch, position.batch, means.values().get("loss"))
            if stop or (self._processes.num == 1 and signals.caught is not None):
                self._snapshot.save(position)
                signals.agree()
                signals.raise_if_caught(str(self._folder.path))

    def _check(self) -> dict[str, float]:
        """The means of the epoch at hand and what the validation records say of it."""
        gather, device = self._processes.gather, self._processes.device
        means = Means(self.position.sums, self.position.counts).pooled(gather)
        found = means.values() | self._objective.learned_weights()
        found = {f"train.{name}": value for name, value in found.items()}
        if (batches := self._feeds.val()) is None:
            return found
        checked = validate(self._network, batches, self._plans, self._objective, device, gather=gather)
        bad = [name for name, value in checked.items() if name.endswith("loss") and not math.isfinite(value)]
        if bad:  # weights without a validation loss are not worth a checkpoint
            raise NonFiniteLoss(
                f"the validation loss is not finite after epoch {self.position.total_epochs + 1} ({', '.join(bad)})",
                where=str(self._folder.path),
                hint="lower lr; the last good checkpoint is kept",
            )
        return found | {f"val.{name}": value for name, value in checked.items()}

    def _leave(self, phase: Phase) -> None:
        """Go on to the next phase, with the best weights so far."""
        self._processes.barrier()
        load_weights(self._folder.best, self._network)
        if phase.rivals == "first":
            if self._processes.rank == 0:
                link_atomic(self._folder.best, self._folder.rival)
            self.position.rival, self.position.best = self.position.best, math.inf
        self.position.next_stage()
        self._snapshot.forget()
        self._snapshot.save(self.position)
        self._processes.barrier()

    def _is_stale(self) -> bool:
        stopping = self._training.early_stopping
        return stopping is not None and self.position.stale >= stopping.patience
