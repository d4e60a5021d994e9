"""What may differ between a run and its continuation."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.errors import ConfigError, ManifestError
from dermtl.kinds import Record
from dermtl.model.checkpoint import load_state
from dermtl.runs.folder import RunFolder
from dermtl.tracking.settings import dotted
from dermtl.training.loop.phases import phases_of
from dermtl.training.provenance import data_digest

# These change the speed, where things are kept, or who is told.
_HARMLESS = (
    "training.workers",
    "training.cache",
    "training.feature_cache_mb",
    "training.shard",
    "training.trackers",
)
_STAGE = re.compile(r"(training\.stages\.(\d+))\.(.+)")


def refuse_changes(folder: RunFolder, wanted: Mapping[str, Any]) -> None:
    """A run goes on with the experiment it began with; only a stage that it has not left may get more epochs.

    Raises:
        ConfigError: With every key that changed, its old and its new value.
    """
    stored, _ = folder.read_experiment()
    before, after = dotted(stored.model_dump(mode="json")), dotted(wanted)
    changed = [key for key in before | after if before.get(key) != after.get(key) and not key.startswith(_HARMLESS)]
    phases = phases_of(stored.training.stages)
    position = load_state(folder.state).get("position", {})
    at = phases[min(int(position.get("stage", 0)), len(phases) - 1)].number - 1

    def extends(key: str) -> bool:
        found = _STAGE.fullmatch(key)
        if not found or found[3] != "epochs" or key not in before or key not in after:
            return False
        stage = int(found[2])
        return stage >= at and stored.training.stages[stage].train != "auto" and bool(after[key] > before[key])

    refused = [key for key in changed if not extends(key)]
    if refused:
        lines = ", ".join(dict.fromkeys(_change(key, before, after) for key in refused))
        hint = "go on with the old experiment, or begin another --run; more epochs for a stage not yet left are allowed"
        raise ConfigError(f"the experiment changed since this run began: {lines}", where=str(folder.path), hint=hint)


def _change(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What became of a key; of a stage that only one of the two has, what became of the stage."""
    found = _STAGE.fullmatch(key)
    if found and (f"{found[1]}.epochs" in before) != (f"{found[1]}.epochs" in after):
        return f"{found[1]}: {'added' if key in after else 'removed'}"
    old, new = (repr(side[key]) if key in side else "absent" for side in (before, after))
    return f"{key}: {old} -> {new}"


def refuse_other_data(folder: RunFolder, records: Sequence[Record]) -> None:
    """A run goes on with the data it began with.

    Raises:
        ManifestError: The table or a file's size changed.
    """
    if folder.facts.get("data", {}).get("digest") != data_digest(records):
        hint = "put the old table and pictures back, or begin another --run"
        raise ManifestError("the data changed since this run began", where=str(folder.path), hint=hint)
