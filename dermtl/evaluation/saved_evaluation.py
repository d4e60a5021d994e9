"""An evaluation as it was written to a folder: it can be compared, and evaluated again without its model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import DataError, InputError, ManifestError
from dermtl.evaluation.evaluation_target import OUT_OF_FOLD, read_other_table, run_data
from dermtl.evaluation.model_card.fields import evaluated_model
from dermtl.evaluation.predict.files import OLD_VERSION, read_predictions
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.kinds import Record
from dermtl.plugins.plan import replan_heads
from dermtl.runtime.decision import Decisions


@dataclass(frozen=True)
class SavedEvaluation:
    """A folder of ``dermtl evaluate``.

    Attributes:
        folder: The folder.
        predictions: What was predicted.
        data: The part ``data`` of its metrics.json.
        model: What was evaluated.
    """

    folder: Path
    predictions: Predictions
    data: Mapping[str, Any]
    model: Mapping[str, Any]


def is_saved_evaluation(path: Path) -> bool:
    """Whether a path is the folder of an evaluation itself."""
    return (path / "metrics.json").is_file()


def read_saved_evaluation(path: Path, split: str = "test") -> SavedEvaluation:
    """Read a folder of ``dermtl evaluate``, or that of a run's split.

    Raises:
        InputError: There is no evaluation.
        DataError: The evaluation is damaged, or lacks the truths and measures that older versions did not write.
        PluginError: A head's plugin is not installed.
    """
    folder = path if is_saved_evaluation(path) else path / "evaluation" / split
    if not is_saved_evaluation(folder):
        raise InputError(
            f"holds neither metrics.json nor evaluation/{split}/metrics.json",
            where=str(path),
            hint="give a folder that `dermtl evaluate` wrote, or a run that it was used on",
        )
    where = str(folder / "metrics.json")
    try:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        model, data, heads = dict(document["model"]), dict(document["data"]), dict(document["heads"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read: {error}", where=where) from error
    for key, what in (("plans", "how its heads are measured"), ("settled", "what was frozen")):
        if key not in document:
            raise DataError(f"does not say {what}", where=where, hint=OLD_VERSION)
    decisions = Decisions.from_json(document["settled"])
    predictions = read_predictions(folder, replan_heads(document["plans"]), decisions)
    baselines = {head: _baselines(metrics) for head, metrics in heads.items()}
    return SavedEvaluation(folder, replace(predictions, baselines=baselines), data, model)


def _baselines(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Trivial predictor to metric to value, as the metrics of a head hold them; null is not estimable."""
    by_name: dict[str, dict[str, float]] = {}
    for metric, estimate in metrics.items():
        for name, value in estimate.get("baselines", {}).items():
            by_name.setdefault(name, {})[metric] = nan if value is None else value
    return by_name


def read_evaluated_table(saved: SavedEvaluation, manifest: Path | None = None) -> tuple[list[Record], list[Record]]:
    """The records of a stored evaluation, with their cells, and the whole table that they are from.

    Args:
        saved: The evaluation.
        manifest: The table that was evaluated on; None: that of the run below which the folder lies.

    Returns:
        The evaluated records in the order of the predictions; and all records.

    Raises:
        InputError: No table is named, and it was another than the run's, or the folder lies below no run.
        ManifestError: The table lacks a picture of the evaluation.
    """
    model = evaluated_model(saved.folder)
    run = None if model is None else model.parent if model.is_file() else model
    if run is not None and (folds := run / "folds.json").is_file():
        run = run / str(json.loads(folds.read_text(encoding="utf-8"))["runs"][0])
    data = None if run is None else run_data(run)
    hint = "name the table that it was evaluated on by --manifest"
    if manifest is not None:
        table = read_other_table(manifest, data or Data())
    elif "leakage" in saved.data:  # compared with the training pictures: not the run's own table
        raise InputError("was evaluated on another table than the run's", where=str(saved.folder), hint=hint)
    elif run is not None and data is not None:
        table = read_splits(run / "splits.csv", read_manifest(data), allow_leakage=data.allow_leakage)
    else:
        raise InputError("lies below no run, so its table is not known", where=str(saved.folder), hint=hint)
    if saved.data.get("split") == OUT_OF_FOLD:
        table = [replace(record, split="") for record in table]
    by_image = {record.image: record for record in table}
    if missing := [image for image in saved.predictions.images if image not in by_image]:
        raise ManifestError(
            f"lacks {len(missing)} of {len(saved.predictions)} evaluated pictures, such as {missing[0]}",
            where=str(manifest or run),
            hint="name the table that was evaluated on by --manifest",
        )
    pairs = zip(saved.predictions.images, saved.predictions.groups, strict=True)
    return [replace(by_image[image], group=group) for image, group in pairs], table
