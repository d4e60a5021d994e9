"""The pictures that an evaluation found worst, explained for its report."""

from collections.abc import Mapping, Sequence

import numpy as np

from dermtl.errors import ConfigError
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.evaluation.report.explained import Case, Explained, Method
from dermtl.evaluation.report.plots import photograph
from dermtl.explain import case as explaining
from dermtl.explain.heat import enlarged, overlay
from dermtl.explain.page import TITLES
from dermtl.explain.sanity import LIMIT, Sanity
from dermtl.explain.scan import Scan
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import TrainedRun

_METHODS = ("input_gradient", "grad_cam")  # need nothing beside torch; a backbone may lack the map of the second


def explain_worst(
    run: TrainedRun, predictions: Predictions, records: Sequence[Record], *, num: int
) -> dict[str, Explained]:
    """Explain the pictures with the highest loss of every head of classes or tags.

    Args:
        run: The evaluated run.
        predictions: Predictions of the run, whose probabilities give the losses.
        records: The predicted records, in the same order.
        num: Number of pictures per head.

    Returns:
        Head to what was explained; of each picture its likeliest class or tag.
    """
    explained = {}
    for head, found in predictions.probabilities.items():
        own = [records[index] for index in found.indices]
        nothing = np.zeros((len(own), 0), np.float32)
        scan = Scan(own, found.names, nothing, found.values, found.truth, found.exclusive)
        worst = np.argsort(-scan.losses, kind="stable")[:num].tolist()
        truths = [(scan.text(scan.truth[row]), float(scan.losses[row])) for row in worst]
        explained[head] = _explain(run, run.plans[head], [own[row] for row in worst], truths)
    return explained


def _explain(
    run: TrainedRun, plan: HeadPlan, records: Sequence[Record], truths: Sequence[tuple[str, float]]
) -> Explained:
    missing = ""
    try:
        cases, checks = explaining.explain_cases(run, plan, records, _METHODS, truths=truths)
    except ConfigError as error:
        missing = f"{TITLES[_METHODS[1]]} cannot be made: {error.message}."
        cases, checks = explaining.explain_cases(run, plan, records, _METHODS[:1], truths=truths)
    shown = [_shown(case, record) for case, record in zip(cases, records, strict=True)]
    methods = [Method(TITLES[name], check.pixels, check.regions, _outcome(check)) for name, check in checks.items()]
    return Explained(shown, methods, LIMIT, missing)


def _shown(case: explaining.Case, record: Record) -> Case:
    pictures: Mapping[str, str] = {
        "as the network sees it": photograph(np.asarray(enlarged(case.picture))),
        **{TITLES[name]: photograph(np.asarray(overlay(case.picture, heat))) for name, heat in case.maps.items()},
    }
    answer = f"{case.explained} {case.probability:.0%}"
    return Case(case.name, record.image, answer, case.truth, float(case.loss or 0.0), pictures)


def _outcome(check: Sanity) -> str:
    if not check.passed:
        return "failed: left out"
    return "shown; much of what the eye sees is there with random weights, too" if check.looks_alike else "shown"
