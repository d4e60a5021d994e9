"""The folder of a run: its files, and how they are read back.

config.yaml        the experiment as it ran, classes and the like filled in
run.json           seeds, versions, plugins, digest of the data, state
metrics.csv        one row for each epoch
splits.csv         image, group, split
last.safetensors   weights after the last epoch
best.safetensors   the weights that training.select chose
decisions.json     temperatures and thresholds, chosen on the validation split
resume/state.pt    everything that --resume needs, in one file
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dermtl.config.experiment import Experiment
from dermtl.config.load import validate
from dermtl.config.source import Source, read_stored
from dermtl.errors import BundleError, ConfigError, TrainingError
from dermtl.files.atomic import write_atomic
from dermtl.kinds import Kind
from dermtl.model.checkpoint import load_weights
from dermtl.model.network import Network, build_network
from dermtl.plugins.plan import HeadPlan, plan_heads
from dermtl.runtime.decision import Decisions


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The experiment as it ran."""
        return self.path / "config.yaml"

    @property
    def splits(self) -> Path:
        """The split of every record."""
        return self.path / "splits.csv"

    @property
    def best(self) -> Path:
        """The weights that training.select chose."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Weights after the last epoch."""
        return self.path / "last.safetensors"

    @property
    def state(self) -> Path:
        """Everything that --resume needs."""
        return self.path / "resume" / "state.pt"

    @property
    def folds(self) -> Path:
        """The list of the runs of a cross-validation; a plain run has none."""
        return self.path / "folds.json"

    def snapshot(self, epoch: int) -> Path:
        """Weights after an epoch, counted over all stages, that a soup may take."""
        return self.path / "resume" / f"epoch-{epoch}.safetensors"

    @property
    def probe_weights(self) -> Path:
        """Best weights of the heads alone, with which ``train: auto`` compares the fine-tuned ones."""
        return self.path / "resume" / "probe.safetensors"

    @property
    def facts(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            TrainingError: This is not a run's folder.
        """
        try:
            facts: dict[str, Any] = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"is not a run: {error}", where=str(self.path), hint="dermtl train makes one"
            ) from error
        return facts

    @property
    def decisions(self) -> Path:
        """The decisions chosen on the validation split."""
        return self.path / "decisions.json"

    def weights_digest(self) -> str:
        """SHA-256 of the best weights."""
        with self.best.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read_decisions(self, weights: str | None = None) -> Decisions:
        """The decisions chosen on the validation split; empty if there are none.

        Args:
            weights: Digest of the weights that they must belong to; default: the best weights.

        Raises:
            BundleError: The decisions cannot be read, or belong to other weights.
        """
        if not self.decisions.is_file():
            return Decisions()
        where, hint = str(self.decisions), "choose them again: dermtl calibrate RUN --replace"
        try:
            decisions = Decisions.from_json(json.loads(self.decisions.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BundleError(f"cannot be read: {error}", where=where, hint=hint) from error
        except BundleError as error:
            raise BundleError(error.message, where=where, hint=hint) from error
        if decisions.facts.get("weights") != (weights or self.weights_digest()):
            raise BundleError("belongs to other weights than there are", where=where, hint=hint)
        return decisions

    def note(self, facts: Mapping[str, Any]) -> None:
        """Write run.json."""
        write_atomic(self.path / "run.json", json.dumps(facts, indent=2) + "\n")

    def write_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write metrics.csv anew; columns are those of any row, in order of appearance."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path / "metrics.csv", text.getvalue())

    def read_experiment(self) -> tuple[Experiment, Source]:
        """The experiment as it ran.

        Raises:
            ConfigError: There is none, or it does not fit this version.
        """
        if not self.config.is_file():
            hint = "it holds the folds of a cross-validation: name one, such as fold-0" if self.folds.is_file() else ""
            raise ConfigError("holds no config.yaml, so it is not a run", where=str(self.path), hint=hint)
        source = read_stored(self.config)
        return validate(Experiment, source.data, source), source


@dataclass(frozen=True)
class TrainedRun:
    """A loaded run.

    Attributes:
        folder: Folder of the run.
        experiment: The experiment as it ran.
        plans: Heads of the run by name, fitted to the training records.
        network: The network with its best weights (LoRA merged), in eval mode, on the CPU.
        decisions: The decisions chosen on validation; empty if there are none.
    """

    folder: RunFolder
    experiment: Experiment
    plans: Mapping[str, HeadPlan]
    network: Network
    decisions: Decisions = field(default_factory=Decisions)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Full output name to kind."""
        return {name: kind for plan in self.plans.values() for name, kind in plan.outputs.items()}


def load_run(path: Path) -> TrainedRun:
    """Load a run with its best weights and their decisions.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        BundleError: The run's decisions are damaged, or belong to other weights.
    """
    run = load_bare_run(path)
    return replace(run, decisions=run.folder.read_decisions())


def load_bare_run(path: Path) -> TrainedRun:
    """Load a run with its best weights, without its decisions.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
    """
    folder = RunFolder(path)
    experiment, source = folder.read_experiment()
    if not folder.best.exists():
        raise ConfigError("has no weights yet", where=str(path), hint="finish it with dermtl train ... --resume")
    plans = plan_heads(experiment, source)
    network = build_network(experiment.backbone, plans, pretrained=False)
    load_weights(folder.best, network)
    if experiment.backbone.lora is not None:
        from dermtl.model.lora import merge_lora

        merge_lora(network.backbone.model)
    return TrainedRun(folder, experiment, plans, network.eval())
