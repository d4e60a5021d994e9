"""The table: every method's out-of-fold figures, its CPU time, and what the reference gains over it."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipes import store
from benchmarks.recipes.datasets import DataSet, Picture
from benchmarks.recipes.intervals import draws, interval, mean
from benchmarks.recipes.scores import metrics
from benchmarks.recipes.store import Key, Predictions

Found = dict[tuple[int, int], Key]  # by fold and seed


def summarise(
    dataset: DataSet, pictures: list[Picture], keys: list[Key], reference: str, out: Path, resamples: int
) -> list[dict[str, Any]]:
    """A row for each method and metric of one set.

    A seed's folds are pooled: every picture counts once, with the answer of the network that did not see it. Figures
    are means over seeds. A difference is that of the reference minus the method, on the folds and seeds that both have.
    """
    by_method: dict[str, Found] = defaultdict(dict)
    for key in keys:
        by_method[key.method][key.fold, key.seed] = key
    rows = []
    for method, found in by_method.items():
        results = [store.read(key, out) or {} for key in found.values()]
        figures = _figures(pictures, [found], list(found), out, 0)
        both = [where for where in found if where in by_method.get(reference, {})]
        paired = {}
        if method != reference and both:
            paired = _figures(pictures, [by_method[reference], found], both, out, resamples)
        for name, (value, num) in figures.items():
            row = {"dataset": dataset.name, "method": method, "metric": name, "value": value, "n": num}
            row |= {"folds": len({fold for fold, _ in found}), "seeds": len({seed for _, seed in found})}
            row |= {"cpu_s": mean([result["cpu_s"] for result in results])}
            if name in paired:
                row |= paired[name]
            rows.append(row)
    return rows


def _figures(
    pictures: list[Picture], methods: list[Found], places: list[tuple[int, int]], out: Path, resamples: int
) -> dict[str, Any]:
    """Figures of one method, metric to (value, number of pictures), or of two, metric to difference, interval and n."""
    by_seed: dict[int, list[list[Predictions]]] = defaultdict(list)
    for fold, seed in places:
        by_seed[seed].append([Predictions.read(found[fold, seed].folder(out)) for found in methods])
    samples: list[dict[str, list[float]]] = []
    numbers: list[int] = []
    for folds in by_seed.values():
        pooled = [Predictions.none() for _ in methods]
        for parts in folds:
            for whole, part in zip(pooled, parts, strict=True):
                whole.labels |= part.labels
                whole.circles |= part.circles
                whole.masks |= part.masks
        tested = [p for p in pictures if p.image in pooled[0].labels or p.image in pooled[0].circles]
        numbers.append(len(tested))
        whole_set = [np.arange(len(tested))]
        again = draws([p.group for p in tested], [p.label for p in tested], resamples)
        measured = [metrics(tested, predictions) for predictions in pooled]
        common = [name for name in measured[0] if all(name in of_method for of_method in measured)]
        samples.append({name: [_signed(measured, name, drawn) for drawn in whole_set + again] for name in common})
    figures: dict[str, Any] = {}
    for name in samples[0]:
        values = np.mean([sample[name] for sample in samples], axis=0).tolist() if _equal(samples, name) else []
        if len(methods) == 1:
            figures[name] = (mean([sample[name][0] for sample in samples]), numbers[0])
        elif values:
            low, high = interval(values[1:])
            figures[name] = {"difference": values[0], "low": low, "high": high, "paired_n": numbers[0]}
    return figures


def _signed(measured: list[dict[str, Any]], name: str, drawn: Any) -> float:
    values = [of_method[name](drawn) for of_method in measured]
    return float(values[0] - values[1]) if len(values) == 2 else float(values[0])


def _equal(samples: list[dict[str, list[float]]], name: str) -> bool:
    return len({len(sample[name]) for sample in samples}) == 1


def lines(rows: list[dict[str, Any]], reference: str) -> Iterator[str]:
    """The table as text."""
    head = f"{'set':11}{'metric':19}{'method':18}{'value':>7}{'n':>6}{'folds':>6}{'seeds':>6}{'CPU s':>8}"
    yield f"{head}  {reference} minus it (95% interval)"
    for row in sorted(rows, key=lambda row: (row["dataset"], row["metric"])):
        text = f"{row['dataset']:11}{row['metric']:19}{row['method']:18}{row['value']:7.3f}{row['n']:6}"
        text += f"{row['folds']:6}{row['seeds']:6}{row['cpu_s']:8.0f}"
        if "difference" in row:
            text += f"  {row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}), n={row['paired_n']}"
        yield text
