"""A run's temperatures, thresholds and sets, fitted on its validation split and frozen in ``decisions.json``."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import BundleError, ConfigError, DermtlError, PluginContract
from dermtl.evaluation.decisions.fit import fit_class_sets, fit_decisions
from dermtl.evaluation.decisions.rule import class_set_coverages, decision_rules
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.predict.predict import predict
from dermtl.evaluation.predict.probabilities import Probabilities, ranked_output
from dermtl.files.atomic import write_atomic
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record
from dermtl.model.predictor import NetworkPredictor
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder, TrainedRun, load_bare_run
from dermtl.runtime.decision import Decisions
from dermtl.statistics.spread import spread

_log = logging.getLogger(__name__)
_TRIED = 4
_AGREE = 1e-3  # how far a head's own tempered probabilities may be from those that were fitted


def calibrate_run(
    path: Path,
    *,
    rule: str | None = None,
    lower_bound: bool = False,
    conformal: float | None = None,
    replace_old: bool = False,
) -> Decisions:
    """Fit a run's temperatures, thresholds and sets on its validation split, and write ``decisions.json``.

    Where a test split was evaluated before, that is recorded: ``after_test``. A calibrated run without sets takes
    sets besides, and nothing else of it moves; for these it is recorded as ``sets_after_test``.

    Args:
        path: The run's folder.
        rule: Rule for every decision, in place of the heads' rules.
        lower_bound: Only with ``rule``: whether Wilson's lower limit must meet it.
        conformal: Coverage of every head's sets, in place of the heads' coverages.
        replace_old: Fit again although it was done.

    Returns:
        What was fitted; empty, and nothing written, where no head gives probabilities of classes or labels, or no
        record is in the validation split.

    Raises:
        ConfigError: The run was fitted before, the rule or the coverage is invalid, or this is not a run.
        BundleError: What was fitted before belongs to other weights.
        PluginContract: A head's tempered output is not what a temperature makes of it.
    """
    run = load_bare_run(path)
    frozen = None if replace_old else _frozen(run.folder, adds=conformal is not None and rule is None)
    plans = ranking_heads(run.plans)
    data = run.experiment.data
    records = [
        record
        for record in read_splits(run.folder.splits, read_manifest(data), allow_leakage=data.allow_leakage)
        if record.split == "val"
    ]
    if not plans or not records:
        _log.info("nothing to settle: %s", "no validation record" if plans else "no head with classes or labels")
        return Decisions()
    rules, coverages = decision_rules(plans, rule, lower_bound=lower_bound), class_set_coverages(plans, conformal)
    predictor = NetworkPredictor(run.network, run.kinds, run.experiment.backbone.image_size)
    predictions = predict(EvaluationTarget(predictor, plans, records), records)
    probabilities, groups = predictions.probabilities, predictions.groups
    if frozen is not None:
        decisions = _with_sets(frozen, probabilities, coverages, groups, after_test=_is_tested(run.folder))
    else:
        facts = {
            "split": "val",
            "records": len(records),
            "groups": len(set(groups)),
            "weights": run.folder.weights_digest(),
            "data": run.folder.facts.get("data", {}).get("digest", ""),
            "after_test": _is_tested(run.folder),
        }
        decisions = fit_decisions(probabilities, rules, facts, coverages=coverages, groups=groups)
    _check_heads(run, spread(records, _TRIED), decisions)
    write_decisions(run.folder, decisions)
    return decisions


def write_decisions(folder: RunFolder, decisions: Decisions) -> None:
    """Write ``decisions.json``."""
    write_atomic(folder.decisions, json.dumps(decisions.to_json(), indent=2, allow_nan=False) + "\n")


def _frozen(folder: RunFolder, *, adds: bool) -> Decisions | None:
    """What was frozen before and stays; None where nothing was."""
    if not folder.decisions.exists():
        return None
    frozen = folder.read_decisions() if adds else Decisions()
    if adds and not frozen.sets:
        return frozen
    refuse_frozen(folder)


def refuse_frozen(folder: RunFolder) -> NoReturn:
    """Refuse to fit what is frozen.

    Raises:
        ConfigError: Always, with the way to fit again.
    """
    hint = "what is settled stays frozen; dermtl calibrate --replace settles it again, and evaluations must be repeated"
    raise ConfigError("exists already", where=str(folder.decisions), hint=hint)


def ranking_heads(plans: Mapping[str, HeadPlan]) -> dict[str, HeadPlan]:
    """The heads with a probability of every class or label of their truth."""
    return {name: plan for name, plan in plans.items() if ranked_output(plan) is not None}


def _with_sets(
    frozen: Decisions,
    probabilities: Mapping[str, Probabilities],
    coverages: Mapping[str, float],
    groups: Sequence[str],
    *,
    after_test: bool,
) -> Decisions:
    tempered = {head: raw.tempered(frozen.temperatures.get(head, 1.0)) for head, raw in probabilities.items()}
    sets, unfitted = fit_class_sets(tempered, coverages, groups)
    facts = {"unsettled": [*frozen.facts.get("unsettled", []), *unfitted], "sets_after_test": after_test}
    return replace(frozen, sets=sets, facts={**frozen.facts, **facts})


def _is_tested(folder: RunFolder) -> bool:
    return (folder.path / "evaluation" / "test").exists()


def calibrate_trained(path: Path) -> None:
    """What ``dermtl train`` does at its end: fit, unless it was done for these weights.

    A run that cannot be calibrated is a finished run all the same: the fault is logged; dermtl calibrate says it again.
    """
    fit_once(RunFolder(path), None, lambda: calibrate_run(path, replace_old=True))


def fit_once(folder: RunFolder, weights: str | None, calibrate: Callable[[], Decisions]) -> None:
    """Calibrate unless it was done for these weights; a fault is logged.

    Args:
        folder: Where the decisions are.
        weights: Digest of the weights; None: those in the folder.
        calibrate: Fits and writes the decisions.
    """
    try:
        folder.read_decisions(weights)
        if folder.decisions.exists():
            return
    except BundleError:
        _log.info("other weights than before: temperatures and thresholds are settled again")
    try:
        calibrate()
    except DermtlError as error:
        _log.warning("temperatures and thresholds are not settled: %s", error)


def _check_heads(run: TrainedRun, records: list[Record], decisions: Decisions) -> None:
    """That each head's layers do with a temperature what was fitted: a plugin may not give plain logits."""
    size = run.experiment.backbone.image_size
    images = [read_image(record.path) for record in records]
    plain = NetworkPredictor(run.network, run.kinds, size).predict_values(images)
    tempered = NetworkPredictor(run.network, run.kinds, size, decisions.temperatures).predict_values(images)
    for head, temperature in decisions.temperatures.items():
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
