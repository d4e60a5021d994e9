"""The weights that a run stores: last, best, snapshots for a soup, and the probe of ``train: auto``."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from dermtl.config.training import Training
from dermtl.files.atomic import link_atomic
from dermtl.model.checkpoint import load_weights, save_weights
from dermtl.model.network import Network
from dermtl.runs.folder import RunFolder
from dermtl.training.data.batch_source import BatchSource
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.validate import Validator
from dermtl.training.resume.snapshot import Snapshot
from dermtl.training.resume.training_state import TrainingState
from dermtl.training.selection.criterion import column_of, monitored_score_of, score_of
from dermtl.training.selection.model_soup import NUM_SNAPSHOTS, greedy_soup
from dermtl.training.selection.probe_or_finetune import choose

_log = logging.getLogger(__name__)


class BestWeights:
    """Stores the best weights of a run in its folder.

    Args:
        training: Section of the experiment with the keys ``select`` and ``early_stopping``.
        network: Network whose weights are stored.
        validator: Validates the network.
        source: Validation batches.
        snapshot: Writes the state of the run after a comparison.
        folder: Folder of the run.
        processes: Processes of the run; one of them writes.
    """

    def __init__(
        self,
        training: Training,
        network: Network,
        validator: Validator,
        source: BatchSource,
        snapshot: Snapshot,
        folder: RunFolder,
        processes: ProcessGroup,
    ) -> None:
        self._training = training
        self._network = network
        self._validator = validator
        self._source = source
        self._snapshot = snapshot
        self._folder = folder
        self._processes = processes

    def close_epoch(self, state: TrainingState, stage: int, row: Mapping[str, float]) -> None:
        """End an epoch: store its row and the current weights, also as the best ones if they are.

        Args:
            state: Progress, which moves to the next epoch.
            stage: Number of the experiment's stage, counted from 1.
            row: Losses, metrics and the like of the epoch.
        """
        stopping, select = self._training.early_stopping, self._training.select
        state.close_epoch(stage, row)
        monitored = monitored_score_of(select.by, row)
        is_best = state.update_best(score_of(select.by, row), monitored, stopping.min_delta if stopping else 0.0)
        dropped = _rank_snapshot(state, monitored) if select.average == "soup" else []
        if (weights := self._processes.gather_full(self._network.state_dict())) is not None:
            save_weights(self._folder.last, weights)
            if is_best:
                link_atomic(self._folder.last, self._folder.best)
            if select.average == "soup" and state.total_epochs not in dropped:
                link_atomic(self._folder.last, self._folder.snapshot(state.total_epochs))
            for epoch in dropped:
                self._folder.snapshot(epoch).unlink(missing_ok=True)
            self._folder.write_metrics(state.history)

    def use_soup(self, state: TrainingState) -> None:
        """Replace the best weights by the soup of the last phase's snapshots, if it is better."""
        select = self._training.select
        if select.average != "soup" or state.soup or not state.snapshots:
            return

        def score(weights: Mapping[str, Tensor]) -> float:
            self._network.load_state_dict(weights)
            figures = self._validator.validate(self._source.uncached_val())
            monitored = monitored_score_of(select.by, {f"val.{name}": value for name, value in figures.items()})
            return math.inf if monitored is None else monitored

        paths = [self._folder.snapshot(epoch) for _, epoch in state.snapshots]
        soup, used, best = greedy_soup(paths, score)
        epochs = sorted(epoch for path, (_, epoch) in zip(paths, state.snapshots, strict=True) if path in used)
        column, sign = column_of(select.by)
        _log.info("soup of epochs %s: %s %.4g", ", ".join(map(str, epochs)), column, sign * best)
        if select.by == "last" or best <= state.best:
            state.soup, state.best = epochs, state.best if select.by == "last" else best
            if self._processes.rank == 0:
                save_weights(self._folder.best, soup)
        self._processes.barrier()
        self._snapshot.save(state)

    def keep_probe(self, state: TrainingState) -> None:
        """Keep the best weights for :meth:`compare_with_probe`; the next phase selects its own best weights."""
        if self._processes.rank == 0:
            link_atomic(self._folder.best, self._folder.probe_weights)
        state.probe_loss, state.best = state.best, math.inf

    def compare_with_probe(self, state: TrainingState, stage: int) -> None:
        """Choose between the probe's best weights and the fine-tuned ones of this phase.

        Args:
            state: Progress, in which the choice is stored.
            stage: Number of the experiment's stage, counted from 1.
        """
        if not any(choice["stage"] == stage for choice in state.choices):
            probe, finetuned = self._losses(self._folder.probe_weights), self._losses(self._folder.best)
            choice = {"stage": stage, **choose(probe, finetuned, self._source.val_records)}
            state.choices.append(choice)
            _log.info("stage %(stage)d: %(chosen)s kept (gain %(gain).3g, standard error %(standard_error)s)", choice)
            self._snapshot.save(state)
        if state.choices[-1]["chosen"] == "head":
            state.best = state.probe_loss
            for row in state.history[-state.epoch :]:
                row["best"] = 0  # the best epoch is one of the probe's
            if self._processes.rank == 0:
                link_atomic(self._folder.probe_weights, self._folder.best)
                self._folder.write_metrics(state.history)
        self._processes.barrier()

    def _losses(self, weights: Path) -> dict[int, float]:
        """The validation loss of every record with a target, with stored weights."""
        load_weights(weights, self._network)
        return self._validator.record_losses(self._source.uncached_val())


def _rank_snapshot(state: TrainingState, score: float | None) -> list[int]:
    """Add the last epoch to the ranked snapshots; returns the epochs that are no longer among the best."""
    ranked = sorted([*state.snapshots, (math.inf if score is None else score, state.total_epochs)])
    state.snapshots = ranked[:NUM_SNAPSHOTS]
    return [epoch for _, epoch in ranked[NUM_SNAPSHOTS:]]
