"""``dermtl compare``: two evaluations of the same records."""

import csv
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dermtl.arrays import Array
from dermtl.cli.compare import compare
from dermtl.config.experiment import Backbone, Data, Experiment
from dermtl.config.source import Source
from dermtl.config.training import Stage, Training
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import DataError, InputError
from dermtl.evaluation.compare.common_nodes import CommonNodes
from dermtl.evaluation.compare.compare import compare as compare_
from dermtl.evaluation.evaluate import evaluate_target
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.metrics.record_scores import HeadScores
from dermtl.evaluation.options import EvaluationOptions
from dermtl.evaluation.predict.files import read_measures, write_measures
from dermtl.evaluation.saved_evaluation import read_saved_evaluation
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan, plan_heads
from dermtl.taxonomy.names import is_descendant

HEADS = {
    "diagnosis": {"type": "classification", "classes": ["benign", "malignant"]},
    "extent": {"type": "circle"},
    "outline": {"type": "segmentation", "classes": ["lesion"]},
}
Make = Callable[..., Path]


class Noisy:
    """Predicts the truth with so much noise."""

    size = 64

    def __init__(self, records: Sequence[Record], plans: Mapping[str, HeadPlan], noise: float) -> None:
        self.answers = iter([self._answer(record, plans, noise) for record in records])

    def predict_values(self, images: Sequence[Array]) -> Sequence[Mapping[str, Array]]:
        return [next(self.answers) for _ in images]

    @staticmethod
    def _answer(record: Record, plans: Mapping[str, HeadPlan], noise: float) -> dict[str, Array]:
        rng, found = np.random.default_rng(zlib.crc32(record.image.encode())), {}
        if "diagnosis" in plans:
            malignant = float(np.clip(0.25 + 0.5 * (record.cells["label"] == "malignant") + noise * rng.normal(), 0, 1))
            found["diagnosis.probability"] = np.array([1 - malignant, malignant])
        if "extent" in plans:
            circle = plans["extent"].target.read(record)
            found["extent.circle"] = circle + 20 * noise * rng.normal(size=3)
        if "outline" in plans:
            mask = plans["outline"].target.read(record).astype(float)
            found["outline.mask"] = np.roll(mask, int(40 * noise), axis=1)[None]
        return found


@pytest.fixture
def make(drawn: Path, tmp_path: Path) -> Make:
    """Evaluates a predictor of so much noise into a folder."""

    def built(name: str, noise: float, heads: Mapping[str, object] = HEADS, change=lambda records: records) -> Path:
        experiment = Experiment(
            name="x", backbone=Backbone(name="none"), heads=heads, training=Training(stages=[Stage(epochs=1)])
        )  # type: ignore[arg-type]
        plans = plan_heads(experiment, Source({"heads": heads}))
        labels = ("benign", "malignant")
        records = [
            replace(record, cells={**record.cells, "label": labels[index % 3 == 0]}, group=f"g{index}")
            for index, record in enumerate(read_manifest(Data(root=drawn)))
        ]
        records = change(records)
        folder = tmp_path / name
        target = EvaluationTarget(Noisy(records, plans, noise), plans, records)
        evaluate_target(target, records, EvaluationOptions(resamples=20), split="test").write(folder)
        return folder

    return built


def run(*arguments: object) -> str:
    done = CliRunner().invoke(compare, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_better_model_is_better_in_every_head(make: Make) -> None:
    found = json.loads(run(make("poor", 0.5), make("good", 0.01), "--json", "--resamples", 200))
    assert found["data"] == {"records": 24, "groups": 24, "independent": True}
    metrics = {head: parts["metrics"] for head, parts in found["heads"].items()}
    for head, metric in (("diagnosis", "balanced_accuracy"), ("extent", "circle_iou"), ("outline", "dice")):
        figure = metrics[head][metric]
        assert figure["difference"] == pytest.approx(figure["second"] - figure["first"])
        assert 0 < figure["low"] <= figure["difference"] <= figure["high"], metric
        assert figure["n"] == 24
    test = found["heads"]["diagnosis"]["mcnemar"]["diagnosis.probability"]
    assert test["only_first"] == 0
    assert test["only_second"] > 0
    assert test["mid_p"] < 0.05
    ranked = found["heads"]["diagnosis"]["delong"]["diagnosis.probability.malignant"]
    assert ranked["difference"] == pytest.approx(metrics["diagnosis"]["auroc.malignant"]["difference"])
    assert found["heads"]["extent"]["mcnemar"] == {}


def test_a_model_equals_itself(make: Make) -> None:
    folder = make("same", 0.3)
    found = compare_(read_saved_evaluation(folder), read_saved_evaluation(folder), resamples=30)
    for parts in found.heads.values():
        for figure in parts["metrics"].values():
            assert figure["difference"] == figure["low"] == figure["high"] == 0 or np.isnan(figure["difference"])
    assert found.heads["diagnosis"]["mcnemar"]["diagnosis.probability"]["exact_p"] == 1


def test_the_order_of_the_records_does_not_matter(make: Make) -> None:
    def turned(records: list[Record]) -> list[Record]:
        return records[::-1]

    first, second = read_saved_evaluation(make("a", 0.3)), read_saved_evaluation(make("b", 0.1))
    found = compare_(first, second, resamples=20)
    again = compare_(first, read_saved_evaluation(make("c", 0.1, change=turned)), resamples=20)
    for head, parts in found.heads.items():
        for metric, figure in parts["metrics"].items():
            assert figure == pytest.approx(again.heads[head]["metrics"][metric], nan_ok=True), metric


def test_groups_of_several_records_forbid_tests_of_single_ones(make: Make) -> None:
    def paired(records: list[Record]) -> list[Record]:
        return [replace(record, group=f"g{index // 2}") for index, record in enumerate(records)]

    one, other = make("a", 0.4, change=paired), make("b", 0.1, change=paired)
    found = json.loads(run(one, other, "--json", "--resamples", 20))
    assert not found["data"]["independent"]
    assert found["heads"]["diagnosis"]["delong"] == {}
    test = found["heads"]["diagnosis"]["mcnemar"]["diagnosis.probability"]
    assert test["mid_p"] is None
    assert test["only_second"] >= 0
    assert "12 groups" in run(one, other, "--resamples", 20)


def test_records_without_a_truth_are_left_out(make: Make) -> None:
    def unlabelled(records: list[Record]) -> list[Record]:
        return [replace(r, cells={**r.cells, "label": ""}) if i < 4 else r for i, r in enumerate(records)]

    first, second = make("a", 0.3, change=unlabelled), make("b", 0.1, change=unlabelled)
    found = compare_(read_saved_evaluation(first), read_saved_evaluation(second), resamples=20)
    assert found.heads["diagnosis"]["metrics"]["accuracy"]["n"] == 20
    assert found.heads["extent"]["metrics"]["circle_iou"]["n"] == 24
    with pytest.raises(DataError, match="measured on other records"):
        compare_(read_saved_evaluation(first), read_saved_evaluation(make("c", 0.1)), resamples=20)


def test_what_only_one_has_is_named(make: Make) -> None:
    fewer = {"diagnosis": HEADS["diagnosis"]}
    text = run(make("a", 0.3), make("b", 0.1, heads=fewer), "--resamples", 20)
    assert "only in A: extent, outline" in text
    other = {"kind": HEADS["diagnosis"]}
    with pytest.raises(DataError, match="no head is in both"):
        compare_(
            read_saved_evaluation(make("c", 0.3, heads=fewer)),
            renamed(read_saved_evaluation(make("d", 0.1, heads=fewer)), other),
        )


def renamed(saved, heads):
    plans = dict.fromkeys(heads, next(iter(saved.predictions.plans.values())))
    return replace(saved, predictions=replace(saved.predictions, plans=plans))


TREE = {
    "benign/nevus": ("nevus",),
    "benign/keratosis": ("keratosis",),
    "malignant/melanoma": ("melanoma",),
    "malignant/carcinoma": ("carcinoma",),
}
FINE = tuple(TREE)
MIXED = ("benign", "malignant/melanoma", "malignant/carcinoma")
COARSE = ("benign", "malignant")


class Cut:
    """Knows the true leaf, gives it so much of the probability, and sums that up to its own classes."""

    size = 64

    def __init__(self, records, classes, sure):
        self.answers = []
        for record in records:
            rng = np.random.default_rng(zlib.crc32(record.image.encode()))
            leaves = rng.dirichlet(np.ones(4)) * (1 - sure) + sure * (np.array(FINE) == record.cells["node"])
            sums = [sum(p for p, leaf in zip(leaves, FINE, strict=True) if leaf.startswith(name)) for name in classes]
            self.answers.append({"diagnosis.probability": np.array(sums)})
        self.answers = iter(self.answers)

    def predict_values(self, images):
        return [next(self.answers) for _ in images]


@pytest.fixture
def cut(drawn: Path, tmp_path: Path) -> Make:
    """Evaluates a model that was trained on some classes of the tree, and gives so much to what is true."""

    def built(name: str, classes: tuple[str, ...], sure: float, each: int = 1) -> Path:
        head = {"type": "classification", "classes": classes, "column": "class"}
        experiment = Experiment(
            name="x",
            backbone=Backbone(name="none"),
            heads={"diagnosis": head},
            training=Training(stages=[Stage(epochs=1)]),
        )  # type: ignore[arg-type]
        plans = plan_heads(experiment, Source({"heads": {"diagnosis": head}}))
        records = []
        for index, record in enumerate(read_manifest(Data(root=drawn))):
            node = FINE[index % 4]
            cells = {**record.cells, "node": node, "class": next((c for c in classes if node.startswith(c)), "")}
            records.append(replace(record, cells=cells, group=f"g{index // each}"))
        folder = tmp_path / name
        target = EvaluationTarget(Cut(records, classes, sure), plans, records)
        evaluate_target(target, records, EvaluationOptions(resamples=20)).write(folder)
        return folder

    return built


def test_other_classes_of_one_tree_meet_at_the_nodes_of_both(cut) -> None:
    fine, coarse = cut("fine", FINE, 0.2), cut("coarse", COARSE, 0.2)
    text = run(fine, coarse, "--resamples", 30)
    assert "compared at benign, malignant" in text
    found = compare_(read_saved_evaluation(fine), read_saved_evaluation(coarse), resamples=30).heads["diagnosis"]
    assert found["nodes"] == ["benign", "malignant"]
    for figure in found["metrics"].values():  # the same leaves, summed up here or there
        assert figure["first"] == pytest.approx(figure["second"])
        assert figure["low"] == pytest.approx(0, abs=1e-9)
    assert set(found["metrics"]) == {
        *("balanced_accuracy", "accuracy", "macro_auroc"),
        *(f"{metric}.{node}" for metric in ("sensitivity", "auroc") for node in COARSE),
    }
    assert found["mcnemar"]["diagnosis.probability"]["exact_p"] == 1
    assert found["delong"]["diagnosis.probability.malignant"]["difference"] == pytest.approx(0)


def test_the_finest_nodes_of_both_are_decided_between(cut) -> None:
    found = compare_(
        read_saved_evaluation(cut("fine", FINE, 0.1)), read_saved_evaluation(cut("mixed", MIXED, 0.9)), resamples=100
    )
    parts = found.heads["diagnosis"]
    assert parts["nodes"] == ["benign", "malignant/melanoma", "malignant/carcinoma"]
    assert parts["metrics"]["balanced_accuracy"]["low"] > 0
    assert parts["metrics"]["auroc.malignant"]["difference"] > 0, "nodes above are ranked, too"
    assert parts["mcnemar"]["diagnosis.probability"]["mid_p"] < 0.05


def test_nodes_with_groups_of_several_records_have_no_p(cut) -> None:
    one, other = (
        read_saved_evaluation(cut(name, classes, 0.5, each=2)) for name, classes in (("a", FINE), ("b", COARSE))
    )
    parts = compare_(one, other, resamples=20).heads["diagnosis"]
    assert parts["delong"] == {}
    assert parts["mcnemar"]["diagnosis.probability"]["exact_p"] is None


def test_other_truths_and_other_trees_are_refused(cut) -> None:
    fine, coarse = (read_saved_evaluation(cut(name, of, 0.5)) for name, of in (("fine", FINE), ("coarse", COARSE)))
    truths = coarse.predictions.truths["diagnosis"]
    assert COARSE[int(truths.columns["class"][0])] == "benign"
    other = truths.columns["class"].copy()
    other[0] = COARSE.index("malignant")
    turned = replace(coarse.predictions, truths={"diagnosis": replace(truths, columns={"class": other})})
    with pytest.raises(DataError, match="= malignant, but benign/nevus"):
        compare_(fine, replace(coarse, predictions=turned))
    table = (coarse.folder / "predictions.csv").read_text()
    odd = cut("odd", ("b", "m"), 0.5)
    (odd / "predictions.csv").write_text(
        table.replace("probability.benign", "probability.b").replace("probability.malignant", "probability.m")
        .replace(",benign\n", ",b\n").replace(",malignant\n", ",m\n")
    )  # fmt: skip
    (odd / "measures.npz").write_bytes((coarse.folder / "measures.npz").read_bytes())
    with pytest.raises(DataError, match="no node of a tree in common"):
        compare_(fine, read_saved_evaluation(odd))


@pytest.mark.parametrize(
    ("first", "second", "names", "shared"),
    [
        (FINE, COARSE, COARSE, COARSE),
        (("a/x", "a/y", "b"), ("a", "b/u", "b/v"), ("a", "b"), ("a", "b")),
        (("a::own", "a/x", "b"), ("a::own", "a/x", "b/u"), ("a::own", "a/x", "b"), ("a", "a::own", "a/x", "b")),
        (("a::rest", "a/x", "b"), ("a::rest", "a/y", "b"), ("a", "b"), ("a", "b")),
        (("a", "b", "c"), ("a", "b"), ("a", "b", "c"), ("a", "b")),
    ],
)
def test_common_nodes(first, second, names, shared) -> None:
    found = CommonNodes.of(first, second)
    assert (found.names, found.shared) == (names, shared)
    for name in (*first, *second):
        assert is_descendant(name, found.names[found.place(name)])


@pytest.mark.parametrize(
    ("first", "second"), [(("a", "b"), ("c", "d")), (("a/x", "a/y"), ("a",)), (("root::rest", "a"), ("a", "b"))]
)
def test_what_has_nothing_in_common_is_refused(first, second) -> None:
    with pytest.raises(DataError, match="in common") as caught:
        CommonNodes.of(first, second)
    assert "one taxonomy" in caught.value.hint


@given(st.data())
def test_every_class_lies_in_one_common_node(data) -> None:
    leaves = [f"{a}/{b}/{c}" for a in "pq" for b in "xy" for c in "uv"]
    cuts = []
    for _ in range(2):
        depth = {top: data.draw(st.sampled_from([1, 2, 3])) for top in "pq"}
        cuts.append(tuple(dict.fromkeys("/".join(leaf.split("/")[: depth[leaf[0]]]) for leaf in leaves)))
    found = CommonNodes.of(*cuts)
    for classes in cuts:
        probability = np.full((1, len(classes)), 1 / len(classes))
        assert found.sums(classes, probability, found.names).sum() == pytest.approx(1)
        assert all(sum(is_descendant(name, node) for node in found.names) == 1 for name in classes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda records: records[1:], "lacks 1 of 24 records"),
        (lambda records: [replace(records[0], group="other"), *records[1:]], "of another group"),
        (
            lambda records: [replace(records[0], cells={**records[0].cells, "label": "benign"}), *records[1:]],
            "diagnosis.truth.class = benign, but malignant",
        ),
    ],
)
def test_other_records_are_refused(make: Make, change, message: str) -> None:
    first, second = read_saved_evaluation(make("a", 0.3)), read_saved_evaluation(make("b", 0.1, change=change))
    with pytest.raises(DataError, match=message):
        compare_(first, second)


def test_a_run_stands_for_its_evaluation(make: Make, tmp_path: Path) -> None:
    folder = make("a", 0.3)
    (tmp_path / "run" / "evaluation").mkdir(parents=True)
    folder.rename(tmp_path / "run" / "evaluation" / "val")
    assert read_saved_evaluation(tmp_path / "run", "val").folder.name == "val"
    with pytest.raises(InputError, match=r"neither metrics\.json"):
        read_saved_evaluation(tmp_path / "run")


def test_older_and_damaged_folders_are_refused(make: Make, tmp_path: Path) -> None:
    folder = make("a", 0.3)
    table = (folder / "predictions.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    with (folder / "predictions.csv").open("w", newline="") as file:
        kept = [column for column in rows[0] if ".truth." not in column]
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataError, match="no truth of head 'diagnosis'") as caught:
        read_saved_evaluation(folder)
    assert "again" in caught.value.hint
    (folder / "predictions.csv").write_text(table)
    measures = (folder / "measures.npz").read_bytes()
    for damaged in (b"", b"PK", measures[: len(measures) // 2]):
        (folder / "measures.npz").write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            read_saved_evaluation(folder)
    (folder / "measures.npz").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_saved_evaluation(folder)
    document = json.loads((folder / "metrics.json").read_text())
    for key in ("settled", "plans"):
        del document[key]
        (folder / "metrics.json").write_text(json.dumps(document))
        with pytest.raises(DataError, match="does not say"):
            read_saved_evaluation(folder)
    (folder / "metrics.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_saved_evaluation(folder)


def test_measures_come_back_as_they_were(tmp_path: Path) -> None:
    written = {
        "a": HeadScores(np.array([0, 2]), {"dice.ear / lobe": np.array([0.5, np.nan]), "p": np.eye(2, dtype="f4")}),
        "b": HeadScores(np.array([], np.int64), {}),
    }
    write_measures(tmp_path / "measures.npz", written, ["x", "y", "z"])
    found = read_measures(tmp_path / "measures.npz", ["x", "y", "z"])
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["a"].indices, [0, 2])
    for column, values in written["a"].table.items():
        np.testing.assert_array_equal(found["a"].table[column], values)
        assert found["a"].table[column].dtype == values.dtype
