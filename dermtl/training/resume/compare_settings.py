"""What ``--resume`` compares: the experiment and the data of the stored run with those of today."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.errors import ConfigError, ManifestError
from dermtl.kinds import Record
from dermtl.model.checkpoint import load_state
from dermtl.runs.folder import RunFolder
from dermtl.tracking.settings import flatten
from dermtl.training.loop.phases import phases_of
from dermtl.training.provenance import data_digest

# Keys that change speed, storage or reporting, but no weights.
_HARMLESS = (
    "training.workers",
    "training.cache",
    "training.feature_cache_mb",
    "training.shard",
    "training.trackers",
)
_STAGE = re.compile(r"(training\.stages\.(\d+))\.(.+)")


def refuse_changes(folder: RunFolder, wanted: Mapping[str, Any]) -> None:
    """Check that the experiment is that of the stored run; only a stage that is not over may get more epochs.

    Args:
        folder: Folder of the run.
        wanted: The experiment of today as plain data, every default written out.

    Raises:
        ConfigError: Keys changed; the message names each with its old and its new value.
    """
    stored, _ = folder.read_experiment()
    before, after = flatten(stored.model_dump(mode="json")), flatten(wanted)
    changed = [key for key in before | after if before.get(key) != after.get(key) and not key.startswith(_HARMLESS)]
    phases = phases_of(stored.training.stages)
    progress = load_state(folder.state).get("progress", {})
    current = phases[min(int(progress.get("phase", 0)), len(phases) - 1)].number - 1

    def is_more_epochs(key: str) -> bool:
        match = _STAGE.fullmatch(key)
        if not match or match[3] != "epochs" or key not in before or key not in after:
            return False
        stage = int(match[2])
        return stage >= current and stored.training.stages[stage].train != "auto" and bool(after[key] > before[key])

    refused = [key for key in changed if not is_more_epochs(key)]
    if refused:
        lines = ", ".join(dict.fromkeys(_change(key, before, after) for key in refused))
        hint = "go on with the old experiment, or begin another --run; more epochs for a stage not yet left are allowed"
        raise ConfigError(f"the experiment changed since this run began: {lines}", where=str(folder.path), hint=hint)


def _change(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Old and new value of a key; ``added`` or ``removed`` for a stage that only one of the experiments has."""
    match = _STAGE.fullmatch(key)
    if match and (f"{match[1]}.epochs" in before) != (f"{match[1]}.epochs" in after):
        return f"{match[1]}: {'added' if key in after else 'removed'}"
    old, new = (repr(side[key]) if key in side else "absent" for side in (before, after))
    return f"{key}: {old} -> {new}"


def refuse_other_data(folder: RunFolder, records: Sequence[Record]) -> None:
    """Check that the data are those of the stored run.

    Raises:
        ManifestError: The table or the size of a file changed.
    """
    if folder.facts.get("data", {}).get("digest") != data_digest(records):
        hint = "put the old table and pictures back, or begin another --run"
        raise ManifestError("the data changed since this run began", where=str(folder.path), hint=hint)
