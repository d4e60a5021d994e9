"""A run's temperatures and thresholds, settled on its validation split and frozen in ``decisions.json``."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from dermtl.data.atomic import write_atomic
from dermtl.data.manifest import read_manifest
from dermtl.data.split import read_splits
from dermtl.errors import BundleError, ConfigError, DermtlError, PluginContract
from dermtl.evaluation.predicted import predict_rows
from dermtl.evaluation.probabilities import ranked_output, read_probabilities
from dermtl.evaluation.settle import aims, settle
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record
from dermtl.model.predictor import NetworkPredictor
from dermtl.model.run import RunFolder, TrainedRun, load_bare_run
from dermtl.runtime.decision import Decisions

_log = logging.getLogger(__name__)
_TRIED = 4
_AGREE = 1e-3  # how far a head's own tempered probabilities may be from those that were fitted


def calibrate_run(
    path: Path, *, rule: str | None = None, lower_bound: bool = False, replace_old: bool = False
) -> Decisions:
    """Settle a run's temperatures and thresholds on its validation split, and write ``decisions.json``.

    Where a test split was evaluated before, that is recorded: ``after_test``.

    Args:
        path: The run's folder.
        rule: For every question, in place of the heads' own.
        lower_bound: With ``rule``.
        replace_old: Settle again although it was done.

    Returns:
        What was settled; empty, and nothing written, where no head gives probabilities of classes or labels, or no
        record is in the validation split.

    Raises:
        ConfigError: It was settled before, the rule is none, or this is not a run.
        PluginContract: A head's tempered output is not what a temperature makes of it.
    """
    run = load_bare_run(path)
    if run.folder.decisions.exists() and not replace_old:
        hint = "thresholds stay frozen; dermtl calibrate --replace settles them again, and evaluations must be repeated"
        raise ConfigError("exists already", where=str(run.folder.decisions), hint=hint)
    heads = [name for name, plan in run.plans.items() if ranked_output(plan) is not None]
    data = run.experiment.data
    records = [
        record
        for record in read_splits(run.folder.splits, read_manifest(data), allow_leakage=data.allow_leakage)
        if record.split == "val"
    ]
    if not heads or not records:
        _log.info("nothing to settle: %s", "no validation record" if heads else "no head with classes or labels")
        return Decisions()
    plans = {name: run.plans[name] for name in heads}
    predictor = NetworkPredictor(run.network, run.kinds, run.experiment.backbone.image_size)
    asked = aims(plans)
    if rule is not None:
        asked = [replace(question, rule=rule, lower_bound=lower_bound) for question in asked]
    rows = predict_rows(predictor, records, plans).rows
    facts = {
        "split": "val",
        "records": len(records),
        "groups": len({record.group for record in records}),
        "weights": run.folder.weights_digest(),
        "data": run.folder.facts.get("data", {}).get("digest", ""),
        "after_test": (path / "evaluation" / "test").exists(),
    }
    found = settle(read_probabilities(rows, plans), asked, facts)
    _check_heads(run, records[:_TRIED], found)
    write_atomic(run.folder.decisions, json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n")
    return found


def calibrate_trained(path: Path) -> None:
    """What ``dermtl train`` does at its end: settle, unless it was done for these weights.

    A run that cannot be settled is a finished run all the same: the fault is logged; dermtl calibrate says it again.
    """
    folder = RunFolder(path)
    try:
        folder.read_decisions()
        if folder.decisions.exists():
            return
    except BundleError:
        _log.info("other weights than before: temperatures and thresholds are settled again")
    try:
        calibrate_run(path, replace_old=True)
    except DermtlError as error:
        _log.warning("temperatures and thresholds are not settled: %s", error)


def _check_heads(run: TrainedRun, records: list[Record], found: Decisions) -> None:
    """That each head's layers do with a temperature what was fitted: a plugin may not give plain logits."""
    size = run.experiment.backbone.image_size
    images = [read_image(record.path) for record in records]
    plain = NetworkPredictor(run.network, run.kinds, size).predict_values(images)
    tempered = NetworkPredictor(run.network, run.kinds, size, found.temperatures).predict_values(images)
    for head, temperature in found.temperatures.items():
        output = ranked_output(run.plans[head]) or ""
        before, after = (np.array([values[output] for values in given], np.float64) for given in (plain, tempered))
        before = np.clip(before, 1e-12, 1 - 1e-7)
        powered = before ** (1 / temperature)
        exclusive = run.kinds[output].kind == "category"
        rest = powered.sum(axis=1, keepdims=True) if exclusive else powered + (1 - before) ** (1 / temperature)
        if np.abs(powered / rest - after).max() > _AGREE:
            raise PluginContract(
                f"temper(raw, {temperature:.3g}) does not give the probabilities to the power {1 / temperature:.3g}",
                where=f"head {head!r}",
                hint="its raw output is no plain logits: the head must override Head.temper",
            )
