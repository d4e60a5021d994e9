"""Predictions that are stored are evaluated again without the model, to the very figures of a full evaluation."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dermtl.arrays import Array
from dermtl.cli.evaluate import evaluate
from dermtl.data.synthetic.dataset import synthesise
from dermtl.errors import DataError, InputError, ManifestError
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.predict.files import read_predictions, write_predictions
from dermtl.evaluation.predict.predict import predict
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decision, Decisions

FILES = ("metrics.json", "predictions.csv")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, ["--resamples", "20", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def run(scored_run: Path, tmp_path: Path) -> Path:
    """A run with a frozen threshold, evaluated on all pictures without any option."""
    from dermtl.runs.folder import RunFolder

    copied = shutil.copytree(scored_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation", "*.onnx"))
    point = Decision("diagnosis", "diagnosis.probability", "nevus", ("nevus",), 0.2, (0.2, 0.4), {"rule": "youden"})
    frozen = Decisions({"diagnosis": 1.3}, (point,), {"weights": RunFolder(copied).weights_digest(), "split": "val"})
    (copied / "decisions.json").write_text(json.dumps(frozen.to_json()))
    assert call(copied, "--split", "all").exit_code == 0
    return copied


def test_stored_predictions_give_the_figures_of_a_full_evaluation(run: Path, drawn: Path, tmp_path: Path) -> None:
    stored = run / "evaluation" / "all"
    images = [row.partition(",")[0] for row in (stored / "predictions.csv").read_text().splitlines()[1:]]
    readers = tmp_path / "readers.csv"
    decisions = "".join(f"ann,{image},{index % 2}\n" for index, image in enumerate(images))
    readers.write_text(f"reader,image,decision\n{decisions}")
    options = ["--by", "sex,age:20", "--unit", "patient_id", "--prevalence", "0.1", "--readers", readers]
    assert call(run, "--split", "all", "--out", tmp_path / "full", *options).exit_code == 0
    for weights in run.glob("*.safetensors"):
        weights.unlink()
    result = call(stored, "--out", tmp_path / "again", *options)
    assert result.exit_code == 0, result.output
    for name in FILES:
        assert (tmp_path / "again" / name).read_text() == (tmp_path / "full" / name).read_text(), name
    with np.load(tmp_path / "again" / "measures.npz") as again, np.load(tmp_path / "full" / "measures.npz") as full:
        assert list(again) == list(full)
        assert all(np.array_equal(again[name], full[name], equal_nan=full[name].dtype.kind == "f") for name in full)
    report = (tmp_path / "again" / "report.html").read_text()
    assert "from stored predictions" in report
    assert "Subgroups" in report
    found = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert set(found["subgroups"]) == {"sex", "age:20"}
    assert found["heads"]["extent"]["circle_iou"]["baselines"].keys() == {"constant", "centred"}

    away = shutil.copytree(stored, tmp_path / "away")
    with pytest.raises(InputError, match="lies below no run") as caught:
        call(away, "--by", "sex")
    assert "--manifest" in caught.value.hint
    assert call(away, "--manifest", drawn / "manifest.csv", *options).exit_code == 0
    assert (away / "metrics.json").read_text() == (tmp_path / "full" / "metrics.json").read_text()


def test_what_needs_the_model_is_refused(run: Path, drawn: Path, tmp_path: Path) -> None:
    stored = run / "evaluation" / "all"
    result = CliRunner().invoke(evaluate, [str(stored), "--flips"])
    assert result.exit_code == 2
    assert "give the model itself" in result.output
    rows = (drawn / "manifest.csv").read_text().splitlines(keepends=True)
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("".join(rows[:-2]))
    with pytest.raises(ManifestError, match="lacks 2 of 24 evaluated pictures"):
        call(stored, "--manifest", fewer, "--by", "sex")


def test_a_table_that_was_sorted_or_cut_is_refused(run: Path, tmp_path: Path) -> None:
    """Measures are stored by row: of another order they would count for other pictures."""
    stored = run / "evaluation" / "all"
    table = stored / "predictions.csv"
    written = table.read_text()
    header, *rows = written.splitlines(keepends=True)
    for changed in (rows[::-1], rows[1:], rows[:-1]):
        table.write_text("".join([header, *changed]))
        with pytest.raises(DataError, match="of another order"):
            call(stored, "--by", "sex")
    table.write_text(written)
    with np.load(stored / "measures.npz") as arrays:
        older = {name: values for name, values in arrays.items() if "/" in name}
    np.savez(stored / "measures.npz", allow_pickle=False, **older)
    with pytest.raises(DataError, match="whose measures") as caught:
        call(stored, "--by", "sex")
    assert "older version" in caught.value.hint


def test_an_evaluation_on_another_table_needs_it_named(run: Path, tmp_path: Path) -> None:
    """Other collections have an images/00000.jpg, too; the run's own cells would be taken for theirs."""
    clinic = synthesise(tmp_path / "clinic", num=12, seed=9)
    with clinic.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["patient_id"], row["lesion_id"] = f"clinic {row['patient_id']}", f"clinic {row['lesion_id']}"
    with clinic.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    own = {path: path.read_bytes() for path in sorted((run / "evaluation").rglob("*")) if path.is_file()}
    assert call(run, "--manifest", clinic, "--split", "all").exit_code == 0
    assert all(path.read_bytes() == content for path, content in own.items())  # the run's own figures stay
    stored = run / "evaluation" / "all-clinic"
    with pytest.raises(InputError, match="another table") as caught:
        call(stored, "--by", "sex")
    assert "--manifest" in caught.value.hint
    assert call(stored, "--by", "sex", "--manifest", clinic).exit_code == 0
    groups = json.loads((stored / "metrics.json").read_text())["subgroups"]["sex"]["outline"]["groups"]
    assert {name: row["n"] for name, row in groups.items()} == Counter(row["sex"] or "unknown" for row in rows)


@pytest.mark.slow
def test_no_torch_is_imported(run: Path) -> None:
    code = (
        "import sys; from dermtl.cli import dermtl\n"
        "try: dermtl(['evaluate', sys.argv[1], '--resamples', '5'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(run / "evaluation" / "all")], check=True)


class Fixed:
    """Answers with fixed numbers, in the order of the pictures."""

    size = 64

    def __init__(self, answers: Sequence[Mapping[str, Array]]) -> None:
        self._answers = iter(answers)

    def predict_values(self, images: Sequence[Array]) -> Sequence[Mapping[str, Array]]:
        return [next(self._answers) for _ in images]


def test_predictions_come_back_as_they_were(
    drawn: Path, tmp_path: Path, planned: Callable[[Mapping[str, Any]], dict[str, HeadPlan]]
) -> None:
    """Truths that only some records have, labels, names with dots and separators, and a decision."""
    from dermtl.config.experiment import Data
    from dermtl.data.manifest.read import read_manifest

    plans = planned(
        {
            "d": {"type": "classification", "classes": ["a.b/c", "x;y"]},
            "t": {"type": "tags", "labels": ["female", "male"], "column": "sex"},
            "c": {"type": "circle"},
            "n": {"type": "number", "names": ["age"]},
        }
    )
    labels, ages, circles = ("", "x;y", "a.b/c"), ("34.5", "", "7"), (True, True, False)
    records = []
    for record, label, age, has in zip(read_manifest(Data(root=drawn))[:3], labels, ages, circles, strict=True):
        circle = {} if has else dict.fromkeys(("cx", "cy", "r"), "")
        cells = {**record.cells, "label": label, "age": age, "sex": "male", **circle}
        records.append(replace(record, cells=cells, group=f"g{age}"))
    answers = [
        {
            "d.probability": np.array([share, 1 - share], np.float32),
            "t.probability": np.array([share / 3, 0.1], np.float32),
            "c.circle": np.array([30.1, 20, share], np.float32),
            "n.value": np.array([1 / 3], np.float32),
        }
        for share in (0.1, 1 / 3, 0.7)
    ]
    frozen = Decisions({}, (Decision("d", "d.probability", "a", ("a.b/c",), 0.3),))
    made = predict(EvaluationTarget(Fixed(answers), plans, records, decisions=frozen), records)
    write_predictions(tmp_path, made)
    read = read_predictions(tmp_path, plans, frozen)
    assert read.table() == made.table()
    assert list(read.table()) == list(made.table())
    assert (list(read.images), list(read.groups)) == (list(made.images), list(made.groups))
    for output, values in made.outputs.items():
        assert np.array_equal(read.outputs[output], values), output
        assert read.columns[output] == made.columns[output]
    assert read.truths.keys() == made.truths.keys() == set(plans)
    for head, truths in made.truths.items():
        assert np.array_equal(read.truths[head].known, truths.known), head
        for column, values in truths.columns.items():
            assert np.array_equal(read.truths[head].columns[column][truths.known], values[truths.known]), column
    assert made.truths["d"].known.tolist() == [False, True, True]
    assert made.truths["d"].columns["class"][1:].tolist() == [1, 0]
    assert made.table()["d.truth.class"] == ["", "x;y", "a.b/c"]
    assert made.table()["d.decision.a"] == [0.0, 1.0, 1.0]
    for head, of_head in made.probabilities.items():
        again = read.probabilities[head]
        assert np.array_equal(again.values, of_head.values)
        assert np.array_equal(again.truth, of_head.truth)
        assert np.array_equal(again.indices, of_head.indices)
        assert again.values.flags.c_contiguous, "sums over columns must not depend on where the numbers come from"
