"""Checks of metrics: best values, chance, values that cannot be estimated, and independence of order and copies."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dermtl.arrays import Array
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Tags
from dermtl.plugins.contract import Prediction, WeightedMetrics
from dermtl.testing.assertions import check
from dermtl.testing.head_under_test import SIZE, HeadUnderTest


class MetricChecks:
    """Checks of the head's metrics."""

    subject: HeadUnderTest

    def test_metrics_are_plain_numbers(self) -> None:
        """Every metric is a float, the primary metric is among them, and names do not depend on the records."""
        right, truths = self._right()
        figures = self.subject.summarise(right, truths)
        primary = self.subject.plan.metrics().primary
        check(primary in figures, f"the primary metric {primary} is not among the figures")
        odd = [name for name, value in figures.items() if not isinstance(value, float)]
        check(not odd, f"{odd[0] if odd else ''} is no float")
        fewer = self.subject.summarise(right[:2], truths[:2])
        check(list(fewer) == list(figures), "the names of the figures change with the records")

    def test_perfect_is_best(self) -> None:
        """Perfect predictions are best: neither one prediction for all nor permuted predictions are better."""
        primary = self.subject.plan.metrics().primary
        best, others = self._primaries()
        check(math.isfinite(best), f"{primary} of perfect predictions is {best}")
        for name, value in others.items():
            check(math.isnan(value) or value <= best, f"{primary}: {name} gets {value:.4g}, what is right {best:.4g}")

    def test_constant_is_chance(self) -> None:
        """One prediction for all records gives areas under ROC curves of one half, and a bad primary metric."""
        best, others = self._primaries()
        primary = self.subject.plan.metrics().primary
        for name, value in others.items():
            if "for all" in name and not math.isnan(value):
                far = value <= best - 0.05 * max(abs(best), 1e-6)
                check(far, f"{primary}: {name} gets {value:.4g}, as good as what is right ({best:.4g})")
        truths = [truth for _, truth in self.subject.known]
        for name, value in self.subject.summarise(self._constant(0), truths).items():
            if "auroc" in name and not math.isnan(value):
                check(abs(value - 0.5) < 1e-6, f"{name} of one answer for all is {value:.4g}, expected 0.5")

    def test_what_cannot_be_said_is_nan(self) -> None:
        """If a class does not occur, or there is one record, metrics are NaN or as with all records, never 0."""
        right, truths = self._right()
        full = self.subject.summarise(right, truths)
        primary = self.subject.plan.metrics().primary
        for name, rows in self._poorer(truths).items():
            figures = self.subject.summarise([right[row] for row in rows], [truths[row] for row in rows])
            for figure, value in figures.items():
                known = full[figure]
                fine = math.isnan(value) or math.isnan(known) or abs(value - known) < 1e-6
                if figure == primary:
                    message = f"{figure} of perfect predictions is {value:.4g} with {name}, {known:.4g} otherwise"
                    check(fine, f"{message}; what cannot be estimated is NaN")
                check(fine or value != 0, f"{figure} is 0 with {name}; what cannot be estimated is NaN")

    def test_order_and_shards_change_nothing(self) -> None:
        """Records measured in another order, or in shards by other instances, give the same metrics."""
        right, truths = self._right()
        mixed = self._mixed(right)
        whole = self.subject.summarise(mixed, truths)
        order = np.roll(np.arange(len(truths)), -3)  # the first is then one that was answered wrongly
        turned = self.subject.summarise([mixed[row] for row in order], [truths[row] for row in order])
        _require_alike(whole, turned, "in another order")
        cut = len(truths) // 3
        shards = [self.subject.tabulate(mixed[part], truths[part]) for part in (slice(cut), slice(cut, None))]
        merged = {column: np.concatenate([shard[column] for shard in shards]) for column in shards[0]}
        _require_alike(whole, self.subject.plan.metrics().summarise(merged), "from two shards")

    def test_measuring_leaves_its_arguments(self) -> None:
        """Predictions and annotations are not written to, and the same pair gives the same row."""
        metrics = self.subject.plan.metrics()
        right, truths = self._right()
        for prediction, truth in list(zip(right, truths, strict=True))[:4]:
            rows = []
            for _ in range(2):
                frozen = {name: np.array(value, copy=True) for name, value in prediction.items()}
                annotation = np.array(truth, copy=True)
                for array in (*frozen.values(), annotation):
                    array.setflags(write=False)
                rows.append({name: np.asarray(value) for name, value in metrics.measure(frozen, annotation).items()})
            for column, value in rows[0].items():
                check(np.array_equal(value, rows[1][column], equal_nan=value.dtype.kind == "f"), f"{column} changes")

    def test_weights_are_copies(self) -> None:
        """Metrics with integer weights give the values of copied rows."""
        metrics = self.subject.plan.metrics()
        if not isinstance(metrics, WeightedMetrics):
            return
        right, truths = self._right()
        table = self.subject.tabulate(self._mixed(right), truths)
        figures = metrics.weighted(table)
        _require_alike(metrics.summarise(table), figures(np.ones(len(truths), np.int64)), "with weights of 1")
        weights = np.random.default_rng(1).integers(1, 4, len(truths))
        copied = {column: np.repeat(values, weights, axis=0) for column, values in table.items()}
        _require_alike(metrics.summarise(copied), figures(weights), "with weights instead of copies")

    def test_baselines_answer_like_the_head(self) -> None:
        """Trivial baselines, if there are any, have the names and shapes of the outputs."""
        config = self.subject.config
        for name, prediction in config.baselines((120, 160)).items():
            check(set(prediction) == set(config.outputs()), f"baseline {name} gives {sorted(prediction)}")
            for output, kind in config.outputs().items():
                shape = tuple({"H": 120, "W": 160}.get(str(extent), extent) for extent in kind.shape)
                check(np.shape(prediction[output]) == shape, f"baseline {name}: {output} has another shape")

    def _right(self) -> tuple[list[Prediction], list[Array]]:
        truths = [truth for _, truth in self.subject.known]
        return [self.subject.config.perfect_prediction(truth) for truth in truths], truths

    def _constant(self, row: int) -> list[Prediction]:
        """The perfect prediction of one record in the network frame, for all records."""
        config = self.subject.config
        answer = config.perfect_prediction(self.subject.targets[row].numpy())
        boxes = [Letterbox.of(example.image, SIZE) for example, _ in self.subject.known]
        return [
            {name: np.asarray(kind.restore(answer[name], box)) for name, kind in config.outputs().items()}
            for box in boxes
        ]

    def _mixed(self, right: Sequence[Prediction]) -> list[Prediction]:
        """Perfect predictions for two records of three, the prediction of one record for the others."""
        constant = self._constant(0)
        return [constant[row] if row % 3 == 0 else prediction for row, prediction in enumerate(right)]

    def _primaries(self) -> tuple[float, dict[str, float]]:
        """The primary metric of perfect predictions, and of wrong ones."""
        right, truths = self._right()
        primary = self.subject.plan.metrics().primary
        wrong = {f"record {row}'s answer for all": self._constant(row) for row in range(3)}
        wrong["the answers of two thirds"] = self._mixed(right)
        best = self.subject.summarise(right, truths)[primary]
        return best, {name: self.subject.summarise(answers, truths)[primary] for name, answers in wrong.items()}

    def _poorer(self, truths: Sequence[Array]) -> dict[str, list[int]]:
        """Subsets that lack a class or have one record."""
        kind = self.subject.config.target()
        subsets = {"one record": [0]}
        if isinstance(kind, Category):
            for index, name in enumerate(kind.classes):
                subsets[f"no {name}"] = [row for row, truth in enumerate(truths) if int(truth) != index]
        if isinstance(kind, Tags):
            for index, name in enumerate(kind.labels):
                subsets[f"no {name}"] = [row for row, truth in enumerate(truths) if not truth[index]]
        return {name: rows for name, rows in subsets.items() if rows}


def _require_alike(one: Mapping[str, float], other: Mapping[str, float], what: str) -> None:
    check(list(one) == list(other), f"figures have other names {what}")
    for name, value in one.items():
        both_nan = math.isnan(value) and math.isnan(other[name])
        fine = both_nan or abs(value - other[name]) <= 1e-6 * max(1.0, abs(value))
        check(fine, f"{name} is {value:.6g}, and {other[name]:.6g} {what}")
