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
from dermtl.data.atomic import copy_atomic
from dermtl.errors import ConfigError, NonFiniteLoss
from dermtl.model.checkpoint import load_weights, save_weights
from dermtl.model.network import Network
from dermtl.model.run import RunFolder
from dermtl.plugins.plan import HeadPlan
from dermtl.tracking.trackers import Trackers
from dermtl.training.dataset import Examples
from dermtl.training.feeds import Feeds
from dermtl.training.interruption import StopSignals
from dermtl.training.mixing import plan_mixing
from dermtl.training.objective import Learner, Means, Objective
from dermtl.training.optimiser import build_optimiser
from dermtl.training.phases import Phase, phases_of
from dermtl.training.position import Position
from dermtl.training.processes import Processes
from dermtl.training.progress import Progress
from dermtl.training.rivals import choose, record_losses
from dermtl.training.snapshot import Snapshot
from dermtl.training.stages import Group, backbone_groups, freeze, thawed
from dermtl.training.step import Step
from dermtl.training.validate import validate
from dermtl.training.weight_mean import WeightMean

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
        self._step = Step(training, processes, list(plans), plan_mixing(training.mix, network, plans), train.records)
        self._snapshot = Snapshot(folder, processes, network, self._objective)
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
        with StopSignals() as signals, Progress(stages, len(self._feeds.order)) as progress:

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
                self._settle(phase)
            if self.position.stage + 1 == len(self._phases):
                return  # the position stays where it is, so that the run can be given more epochs
            self._leave(phase)

    def _run_phase(
        self, phase: Phase, signals: StopSignals, progress: Progress, told: Callable[[Mapping[str, Any]], None]
    ) -> None:
        position, stage, where = self.position, phase.stage, str(self._folder.path)
        updates, others = len(self._feeds.order), list(self._objective.parameters())
        optimizer, schedule = build_optimiser(self._network, stage, self._groups, updates, others)
        optimizer = self._processes.fabric.setup_optimizers(optimizer)
        average = WeightMean(self._network, self._training.ema) if self._training.ema is not None else None
        self._snapshot.take_up(optimizer, average)
        trained: list[Group] | None = None
        while position.epoch < stage.epochs and not self._is_stale():
            started = time.perf_counter()
            wanted = thawed(stage, self._groups, position.epoch)
            self._learner.train()
            freeze(self._network, wanted)
            if trained is None or len(wanted) != len(trained):
                trained = wanted
                freezes = not trained or len(trained) < len(self._groups)
                self._feeds.prepare(stage, freezes=freezes, after_batch=lambda: signals.raise_if_caught(where))
                self._step.learner = None  # lets go of the old one, which listens to gradients
                self._step.learner = self._processes.fabric.setup_module(self._learner)
            self._run_epoch(optimizer, schedule, average, signals, progress)
            with average.applied() if average is not None else nullcontext():
                found = self._check()
                seconds = round(time.perf_counter() - started, 2)
                self._note(phase, {"lr": optimizer.param_groups[0]["lr"], "seconds": seconds, **found})
            self._snapshot.save(position)
            told(position.history[-1])
            if self._processes.num == 1:  # several stop together, in a step
                signals.raise_if_caught(where)

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

    def _note(self, phase: Phase, found: Mapping[str, float]) -> None:
        """Close the epoch at hand: its row, and the weights as they are now, if they are the best also as these."""
        position, stopping = self.position, self._training.early_stopping
        position.close_epoch(phase.number, found)
        is_best = position.judge(found.get("val.loss"), stopping.min_delta if stopping else 0.0)
        if (state := self._processes.whole(self._network.state_dict())) is not None:
            save_weights(self._folder.last, state)
            if is_best:
                copy_atomic(self._folder.last, self._folder.best)
            self._folder.write_metrics(position.history)

    def _settle(self, phase: Phase) -> None:
        """Choose between the weights that the phase before this one gave and those of this one."""
        position = self.position
        if not any(choice["stage"] == phase.number for choice in position.choices):
            device, gather, feeds = self._processes.device, self._processes.gather, self._feeds
            losses = [
                record_losses(self._network, path, feeds.unshuffled(), self._objective, device, gather)
                for path in (self._folder.rival, self._folder.best)
            ]
            found = {"stage": phase.number, **choose(losses[0], losses[1], feeds.val_records)}
            position.choices.append(found)
            _log.info("stage %(stage)d: %(chosen)s kept (gain %(gain).3g, standard error %(standard_error)s)", found)
            self._snapshot.save(position)
        if position.choices[-1]["chosen"] == "head":
            position.best = position.rival
            if self._processes.rank == 0:
                copy_atomic(self._folder.rival, self._folder.best)
        self._processes.barrier()

    def _leave(self, phase: Phase) -> None:
        """Go on to the next phase, with the best weights so far."""
        self._processes.barrier()
        load_weights(self._folder.best, self._network)
        if phase.rivals == "first":
            if self._processes.rank == 0:
                copy_atomic(self._folder.best, self._folder.rival)
            self.position.rival, self.position.best, self.position.mark = self.position.best, math.inf, math.inf
        self.position.next_stage()
        self._snapshot.forget()
        self._snapshot.save(self.position)
        self._processes.barrier()

    def _is_stale(self) -> bool:
        stopping = self._training.early_stopping
        return stopping is not None and self.position.stale >= stopping.patience
