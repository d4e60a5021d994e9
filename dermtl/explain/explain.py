"""Explanations for ``dermtl explain``: some pictures, or a whole split with its map and its worst cases."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import ManifestError
from dermtl.explain.case import Case, explain_cases
from dermtl.explain.embedding import SMALLEST, embed
from dermtl.explain.sanity import Sanity
from dermtl.explain.scan import Scan, scan
from dermtl.explain.score import choose_head
from dermtl.files.table import write_table
from dermtl.kinds import Record
from dermtl.runs.folder import TrainedRun


@dataclass(frozen=True)
class Explanation:
    """The result.

    Attributes:
        run: Name of the experiment.
        head: Name of the head.
        cases: Explained pictures, the worst first if truths are known, else in the order given.
        images: Paths of the cases' pictures; never shown, but written to a separate table.
        checks: Method to the outcome of its sanity check.
        split: The split; empty if pictures were given.
        scan: All records of the split; None if pictures were given.
        plane: float [n, 2], the map of the scan's features; None if there are too few.
        worst: Positions of the cases in the scan.
    """

    run: str
    head: str
    cases: Sequence[Case]
    images: Sequence[str]
    checks: dict[str, Sanity]
    split: str = ""
    scan: Scan | None = None
    plane: Array | None = None
    worst: Sequence[int] = field(default_factory=list)

    def write_tables(self, folder: Path) -> None:
        """Write ``cases.csv``, with the path of each case's picture, and ``map.csv``."""
        rows = zip((case.name for case in self.cases), self.images, strict=True)
        write_table(folder / "cases.csv", ["case", "image"], rows)
        if self.scan is not None and self.plane is not None:
            columns = ["image", "x", "y", "truth", "decided", "loss"]
            table = zip(
                (record.image for record in self.scan.records),
                *self.plane.T.tolist(),
                map(self.scan.text, self.scan.truth),
                map(self.scan.text, self.scan.decided),
                self.scan.losses.tolist(),
                strict=True,
            )
            write_table(folder / "map.csv", columns, table)


def explain_pictures(
    run: TrainedRun, paths: Sequence[Path], methods: Sequence[str], *, head: str | None = None, of: str | None = None
) -> Explanation:
    """Explain pictures of any origin.

    Raises:
        ConfigError: The run has no such head, class, tag or node, or a method does not fit its backbone.
        ImageReadError: A picture cannot be read.
    """
    plan = choose_head(run.plans, head)
    records = [Record(path.name, path.parent, {}) for path in paths]
    cases, checks = explain_cases(run, plan, records, methods, of=of)
    return Explanation(run.experiment.name, plan.name, cases, [str(path) for path in paths], checks)


def explain_split(
    run: TrainedRun,
    methods: Sequence[str],
    *,
    split: str = "test",
    head: str | None = None,
    of: str | None = None,
    num_cases: int = 20,
) -> Explanation:
    """Explain a split of the run's own data: a map of all its pictures, and those with the highest loss.

    Raises:
        ConfigError: As :func:`explain_pictures`.
        DataError: The data cannot be read, or no record of the split has a truth.
    """
    plan, data = choose_head(run.plans, head), run.experiment.data
    everything = read_splits(run.folder.splits, read_manifest(data), allow_leakage=data.allow_leakage)
    found = scan(run, plan, [record for record in everything if record.split == split])
    if not found.records:
        raise ManifestError(f"no record of split {split!r} has a truth for head {plan.name!r}")
    losses = found.losses
    worst = np.argsort(-losses, kind="stable")[:num_cases].tolist()
    truths = [(found.text(found.truth[index]), float(losses[index])) for index in worst]
    records = [found.records[index] for index in worst]
    cases, checks = explain_cases(run, plan, records, methods, of=of, truths=truths)
    plane = embed(found.pooled) if len(found.records) >= SMALLEST else None
    images = [record.image for record in records]
    return Explanation(run.experiment.name, plan.name, cases, images, checks, split, found, plane, worst)
