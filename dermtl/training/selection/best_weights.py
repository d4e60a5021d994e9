"""The best weights of a run: kept after every epoch, compared with an earlier stage's, put together from several."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from dermtl.config.training import Training
from dermtl.files.atomic import link_atomic
from dermtl.model.checkpoint import save_weights
from dermtl.model.network import Network
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder
from dermtl.training.data.batch_source import Feeds
from dermtl.training.distributed.process_group import Processes
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.phases import Phase
from dermtl.training.loop.validate import validate
from dermtl.training.resume.position import Position
from dermtl.training.resume.snapshot import Snapshot
from dermtl.training.selection.criterion import NUM_SNAPSHOTS, column_of, greedy_soup, score_of, watched_of
from dermtl.training.selection.probe_or_finetune import choose, record_losses

_log = logging.getLogger(__name__)


class BestWeights:
    """Keeps a run's best weights in its folder.

    Args:
        training: Says what is the best.
        network: Network whose weights are kept.
        plans: The heads.
        objective: Loss of the heads.
        feeds: Brings validation batches.
        folder: Folder of the run.
        processes: Those of the run; one of them writes.
        snapshot: Writes the run's state after a decision.
    """

    def __init__(
        self,
        training: Training,
        network: Network,
        plans: Mapping[str, HeadPlan],
        objective: Objective,
        feeds: Feeds,
        folder: RunFolder,
        processes: Processes,
        snapshot: Snapshot,
    ) -> None:
        self._training = training
        self._network = network
        self._plans = plans
        self._objective = objective
        self._feeds = feeds
        self._folder = folder
        self._processes = processes
        self._snapshot = snapshot

    def note(self, position: Position, phase: Phase, found: Mapping[str, float]) -> None:
        """Close the epoch at hand: its row, and the weights as they are now, if they are the best also as these."""
        stopping, select = self._training.early_stopping, self._training.select
        position.close_epoch(phase.number, found)
        score, watched = score_of(select.by, found), watched_of(select.by, found)
        is_best = position.judge(score, watched, stopping.min_delta if stopping else 0.0)
        dropped = self._keep_snapshot(position, watched) if select.average == "soup" else []
        if (state := self._processes.whole(self._network.state_dict())) is not None:
            save_weights(self._folder.last, state)
            if is_best:
                link_atomic(self._folder.last, self._folder.best)
            if select.average == "soup" and position.total_epochs not in dropped:
                link_atomic(self._folder.last, self._folder.snapshot(position.total_epochs))
            for epoch in dropped:
                self._folder.snapshot(epoch).unlink(missing_ok=True)
            self._folder.write_metrics(position.history)

    def _keep_snapshot(self, position: Position, score: float | None) -> list[int]:
        """Note the epoch that was closed among those a soup may take; the epochs that fall out of their number."""
        ranked = sorted([*position.snapshots, (math.inf if score is None else score, position.total_epochs)])
        position.snapshots = ranked[:NUM_SNAPSHOTS]
        return [epoch for _, epoch in ranked[NUM_SNAPSHOTS:]]

    def blend(self, position: Position) -> None:
        """Put the soup of the last stage in the place of the best weights, if it is better."""
        select = self._training.select
        if select.average != "soup" or position.soup or not position.snapshots:
            return

        def score(weights: Mapping[str, Any]) -> float:
            self._network.load_state_dict(weights)
            found = validate(
                self._network,
                self._feeds.unshuffled(),
                self._plans,
                self._objective,
                self._processes.device,
                gather=self._processes.gather,
            )
            watched = watched_of(select.by, {f"val.{name}": value for name, value in found.items()})
            return math.inf if watched is None else watched

        paths = [self._folder.snapshot(epoch) for _, epoch in position.snapshots]
        soup, chosen, best = greedy_soup(paths, score)
        epochs = [epoch for path, (_, epoch) in zip(paths, position.snapshots, strict=True) if path in chosen]
        column, sign = column_of(select.by)
        _log.info("soup of epochs %s: %s %.4g", ", ".join(map(str, sorted(epochs))), column, sign * best)
        if select.by == "last" or best <= position.best:
            position.soup, position.best = sorted(epochs), position.best if select.by == "last" else best
            if self._processes.rank == 0:
                save_weights(self._folder.best, soup)
        self._processes.barrier()
        self._snapshot.save(position)

    def compare(self, position: Position, phase: Phase) -> None:
        """Choose between the weights that the phase before this one gave and those of this one."""
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
            for row in position.history[-position.epoch :]:
                row["best"] = 0  # none of this phase's epochs was, after all
            if self._processes.rank == 0:
                link_atomic(self._folder.rival, self._folder.best)
                self._folder.write_metrics(position.history)
        self._processes.barrier()
