"""Collects what is predicted, record by record, into columns."""

from collections.abc import Mapping

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.metrics.record_scores import HeadScores, measure, summarise
from dermtl.evaluation.predict.predictions import Cell, Predictions, Truths
from dermtl.kinds import Category, Record
from dermtl.plugins.contract import Measures, Metrics
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions

Rows = tuple[list[int], list[Measures]]


class Member:
    """The heads and frozen decisions of the model that predicted a record.

    Args:
        plans: Heads of the model, by name; those of a fold were fitted to the fold's training records.
        decisions: Decisions that were frozen on the model's validation records.
    """

    def __init__(self, plans: Mapping[str, HeadPlan], decisions: Decisions) -> None:
        self.plans = plans
        self.decisions = decisions
        self.metrics: Mapping[str, Metrics] = {name: plan.metrics() for name, plan in plans.items()}
        self.targets = {name: plan.target for name, plan in plans.items()}
        self.kinds = {output: kind for plan in plans.values() for output, kind in plan.outputs.items()}


class PredictionCollector:
    """Takes in records with what was predicted of them.

    Args:
        plans: The heads of the whole.
        decisions: What is frozen for the whole.
    """

    def __init__(self, plans: Mapping[str, HeadPlan], decisions: Decisions) -> None:
        self._plans = plans
        self._decisions = decisions
        self._images: list[str] = []
        self._groups: list[str] = []
        self._outputs: dict[str, list[dict[str, float]]] = {}
        self._decided: dict[str, dict[int, float]] = {}
        self._truths: dict[str, dict[int, Mapping[str, Cell]]] = {name: {} for name in plans}
        self._scores: dict[str, Rows] = {name: ([], []) for name in plans}
        self._baselines: dict[str, dict[str, Rows]] = {name: {} for name in plans}

    def add(self, record: Record, values: Mapping[str, Array], member: Member) -> None:
        """Take in one record.

        Args:
            record: The record, which may lack truths.
            values: Full output name to value, source frame.
            member: The model that predicted it.
        """
        index = len(self._images)
        self._images.append(record.image)
        self._groups.append(record.group)
        columns = {output: kind.columns(values[output]) for output, kind in member.kinds.items()}
        for output, numbers in columns.items():
            self._outputs.setdefault(output, []).append(numbers)
        for column, answer in member.decisions.columns(columns).items():
            self._decided.setdefault(column, {})[index] = answer
        for head, target in member.targets.items():
            if (annotation := target.read(record)) is not None:
                self._truths[head][index] = target.truth_columns(annotation)
                self._measure(index, head, values, annotation, member)
                self._measure_baselines(index, head, record, annotation, member)

    def _measure(self, index: int, head: str, values: Mapping[str, Array], annotation: Array, member: Member) -> None:
        indices, rows = self._scores[head]
        rows.append(measure(head, member.metrics[head], values, annotation))
        indices.append(index)

    def _measure_baselines(self, index: int, head: str, record: Record, annotation: Array, member: Member) -> None:
        """What trivial predictors, which never look at the picture, would have scored."""
        for name, prediction in member.plans[head].config.baselines(record.size_hw).items():
            indices, rows = self._baselines[head].setdefault(name, ([], []))
            values = {f"{head}.{output}": value for output, value in prediction.items()}
            rows.append(measure(head, member.metrics[head], values, annotation))
            indices.append(index)

    def predictions(self) -> Predictions:
        """All that was taken in, as columns."""
        num = len(self._images)
        names = {output: tuple(rows[0]) for output, rows in self._outputs.items()}
        metrics = {head: plan.metrics() for head, plan in self._plans.items()}
        return Predictions(
            images=self._images,
            groups=self._groups,
            plans=self._plans,
            outputs={
                output: np.array([[row[name] for name in names[output]] for row in rows], np.float64)
                for output, rows in self._outputs.items()
            },
            columns=names,
            truths={head: _truths(self._plans[head], rows, num) for head, rows in self._truths.items() if rows},
            record_scores={head: HeadScores.of(*rows) for head, rows in self._scores.items()},
            decisions=self._decisions,
            decided={
                column: np.array([answers.get(index, np.nan) for index in range(num)])
                for column, answers in self._decided.items()
            },
            baselines={
                head: {
                    name: summarise(head, metrics[head], HeadScores.of(*rows).table) for name, rows in of_head.items()
                }
                for head, of_head in self._baselines.items()
            },
        )


def _truths(plan: HeadPlan, rows: Mapping[int, Mapping[str, Cell]], num: int) -> Truths:
    known = np.zeros(num, bool)
    known[list(rows)] = True
    columns: dict[str, Array] = {}
    for column in dict.fromkeys(column for row in rows.values() for column in row):
        cells = {index: row[column] for index, row in rows.items()}
        if isinstance(plan.target, Category):
            columns[column] = np.zeros(num, np.int64)
            columns[column][list(cells)] = [plan.target.classes.index(str(cell)) for cell in cells.values()]
        elif all(isinstance(cell, int | float) for cell in cells.values()):
            columns[column] = np.full(num, np.nan)
            columns[column][list(cells)] = list(cells.values())
        else:
            columns[column] = np.array([str(cells.get(index, "")) for index in range(num)])
    return Truths(known, columns)
