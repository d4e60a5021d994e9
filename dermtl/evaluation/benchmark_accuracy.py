"""The primary metric of each head of exported files, side by side on pictures that none of them was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.errors import DataError
from dermtl.evaluation.audit.leakage import find_leaks
from dermtl.evaluation.evaluate import evaluate_target
from dermtl.evaluation.evaluation import Evaluation
from dermtl.evaluation.evaluation_target import exported_target
from dermtl.kinds import Record


@dataclass(frozen=True)
class PrimaryMetric:
    """One head's primary metric.

    Attributes:
        head: The head.
        metric: Name of the metric.
        value: Value of the metric on the pictures that have a truth; None if it cannot be estimated.
        low: Lower end of the 95% interval, or None.
        high: Upper end of the 95% interval, or None.
        n: Pictures with a truth.
    """

    head: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class BenchmarkAccuracy:
    """Files that were scored on the same pictures.

    Attributes:
        records: The pictures.
        left_out: How many of the table's were not taken, since a model was trained on them or on their likes.
        files: Each file's scores, in the order given.
    """

    records: Sequence[Record]
    left_out: int
    files: Sequence[Sequence[PrimaryMetric]]


def measure_accuracy(models: Sequence[Path], table: Path) -> BenchmarkAccuracy:
    """Score exported files on a table of pictures.

    What a model was trained on is known where it lies in its run; elsewhere a warning says that it is not.

    Args:
        models: Files that :func:`dermtl.runtime.predictor.load` opens.
        table: A manifest with the columns of the models' heads.

    Raises:
        BundleError: A file is not a model of dermtl's.
        PluginError: A head's plugin, which brings the metrics, is not installed.
        DataError: The table or a picture cannot be read, or no picture is left.
    """
    targets = [exported_target(model, table) for model in models]
    known: set[str] = set()
    for target in targets:
        if target.trained is not None:
            leaks = find_leaks(target.trained, target.records).leaks
            known.update(leak.tested.image for leak in leaks if leak.is_sure)
    records = [record for record in targets[0].records if record.image not in known]
    if not records:
        hint = "give a table with other pictures"
        raise DataError("every picture of it was trained on", where=str(table), hint=hint)
    chosen = {record.image for record in records}
    files = []
    for target in targets:
        records_of_target = [record for record in target.records if record.image in chosen]
        files.append(_primary_metrics(evaluate_target(target, records_of_target)))
    return BenchmarkAccuracy(records, len(targets[0].records) - len(records), files)


def _primary_metrics(evaluation: Evaluation) -> list[PrimaryMetric]:
    """Heads without a truth in the table have none."""
    scores = []
    for head, metrics in evaluation.heads.items():
        if metrics:
            metric = evaluation.primary[head]
            estimate = metrics[metric]
            scores.append(PrimaryMetric(head, metric, *(estimate[key] for key in ("value", "low", "high", "n"))))
    return scores
