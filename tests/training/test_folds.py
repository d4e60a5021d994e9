"""Cross-validation: every record is tested once; the folds are one figure and one file."""

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dermtl.cli.calibrate import calibrate
from dermtl.errors import BundleError, ConfigError, DataError, InputError, TrainingError
from dermtl.evaluation.evaluate import evaluate_target
from dermtl.evaluation.evaluation_target import OUT_OF_FOLD
from dermtl.evaluation.options import EvaluationOptions
from dermtl.evaluation.predict.predict import predict
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.runs.evaluation_target import folds_target, run_target
from dermtl.runs.folder import RunFolder, load_run
from dermtl.runs.folds import fold_runs, load_ensemble
from dermtl.training.folds import train_folds

pytestmark = pytest.mark.slow
ONE = ("training.stages.0.epochs=1", "heads.diagnosis.positive=[melanoma]")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(calibrate, [*map(str, arguments)], catch_exceptions=False)


def rows_of(predictions: Predictions) -> dict[str, dict[str, str | float]]:
    table = predictions.table()
    return {
        image: {column: cells[row] for column, cells in table.items()} for row, image in enumerate(predictions.images)
    }


@pytest.fixture(scope="module")
def folds(tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_folds(tiny_experiment, ONE, num=3, run=tmp_path_factory.mktemp("folds") / "run")


def test_every_record_is_tested_once(folds: Path) -> None:
    tested: list[str] = []
    for run in fold_runs(folds):
        with (run / "splits.csv").open(newline="") as file:
            tested += [row["image"] for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(tested) == len(set(tested)) == 24
    target = folds_target(folds)
    found = evaluate_target(target, target.records_in(OUT_OF_FOLD), EvaluationOptions(resamples=20), split=OUT_OF_FOLD)
    assert sorted(found.predictions.images) == sorted(tested)
    assert found.data["records"] == 24
    assert found.heads["extent"]["circle_iou"]["n"] == 24


def test_a_row_is_that_of_the_fold_which_tested(folds: Path) -> None:
    target = folds_target(folds)
    rows = rows_of(predict(target, target.records))
    fold = run_target(fold_runs(folds)[1])
    for image, row in rows_of(predict(fold, fold.records_in("test"))).items():
        assert rows[image] == row


def test_the_ensemble_is_the_mean_of_its_members(folds: Path, tmp_path: Path) -> None:
    from dermtl.evaluation.predict.predictor import ModelPredictor
    from dermtl.export.export import export_run
    from dermtl.runtime.predictor import load

    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)

    def answer(path: Path) -> Mapping[str, np.ndarray]:
        return ModelPredictor(load(path)).predict_values([pixels])[0]

    members = []
    for number, run in enumerate(fold_runs(folds)):
        export_run(run, tmp_path / f"{number}.onnx")
        members.append(answer(tmp_path / f"{number}.onnx"))
    export_run(folds, tmp_path / "all.onnx")
    for name, value in answer(tmp_path / "all.onnx").items():
        mean = np.mean([member[name] for member in members], axis=0)
        np.testing.assert_allclose(value, mean, rtol=1e-4, atol=1e-4)


def test_the_ensemble_decides_by_members_that_did_not_learn(folds: Path, tmp_path: Path) -> None:
    from dermtl.export.export import export_run
    from dermtl.runtime.bundle import read_bundle

    settled = load_ensemble(folds).decisions
    (decision,) = settled.binary
    assert settled.temperatures == {}, "the members' own are inside"
    assert settled.facts["split"] == "out of fold"
    assert (settled.facts["records"], settled.facts["folds"]) == (24, 3)
    scores, truth = dict[str, list[float]](), dict[str, bool]()
    for fold in fold_runs(folds):
        subject = run_target(fold)
        for side in ("test", "val"):
            for row in rows_of(predict(subject, subject.records_in(side))).values():
                scores.setdefault(row["image"], []).append(row[f"{decision.output}.{decision.positive[0]}"])
                truth[row["image"]] = row["diagnosis.truth.class"] == decision.positive[0]
    assert {len(given) for given in scores.values()} == {2}
    called = np.array([np.mean(scores[image]) >= decision.threshold for image in truth])
    positive = np.array(list(truth.values()))
    assert called[positive].mean() == decision.chosen["sensitivity"] >= 0.95
    assert (~called[~positive]).mean() == decision.chosen["specificity"]
    export_run(folds, tmp_path / "all.onnx")
    assert read_bundle(tmp_path / "all.onnx").decisions == settled


def test_the_thresholds_of_the_ensemble_stay_frozen(folds: Path, tmp_path: Path) -> None:
    from dermtl.runs.calibrate_folds import calibrate_trained_folds

    copied = tmp_path / "folds"
    shutil.copytree(folds, copied)
    before = (copied / "decisions.json").read_bytes()
    calibrate_trained_folds(copied)
    assert (copied / "decisions.json").read_bytes() == before
    with pytest.raises(ConfigError, match="exists already"):
        run(copied, "--rule", "youden")
    with pytest.raises(ConfigError, match="takes no sets"):
        run(copied, "--conformal", 0.8)
    result = run(copied, "--rule", "specificity>=0.5", "--replace")
    assert result.exit_code == 0, result.output
    assert "settled on 24 out of fold records" in result.output
    assert load_ensemble(copied).decisions.binary[0].chosen["rule"] == "specificity>=0.5"
    member = json.loads((copied / "fold-1" / "decisions.json").read_text())
    member["temperatures"] = {"diagnosis": 2.0}
    (copied / "fold-1" / "decisions.json").write_text(json.dumps(member))
    with pytest.raises(BundleError, match="other weights"):
        load_ensemble(copied)
    calibrate_trained_folds(copied)
    assert load_ensemble(copied).decisions.binary[0].chosen["rule"] == "sensitivity>=0.95"


def test_the_file_of_the_ensemble_is_verified_against_its_folds(folds: Path, drawn: Path, tmp_path: Path) -> None:
    from dermtl.cli.verify import verify
    from dermtl.export.export import export_run

    model = export_run(folds, tmp_path / "all.onnx")
    images = tmp_path / "clinic"
    images.mkdir()
    for file in sorted((drawn / "images").iterdir())[:3]:
        shutil.copy(file, images)
    arguments = [str(model), "--images", str(images), "--json", "--run"]
    result = CliRunner().invoke(verify, [*arguments, str(folds)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    network = [row for row in json.loads(result.stdout) if row["path"] == "network-graph"]
    assert {row["output"] for row in network} == set(load_ensemble(folds).kinds)
    result = CliRunner().invoke(verify, [*arguments, str(folds / "fold-0")], catch_exceptions=False)
    assert result.exit_code == 1, "one member answers otherwise than their mean"


def test_the_card_beside_the_folds_reaches_the_file(folds: Path, tmp_path: Path) -> None:
    from dermtl.evaluation.model_card.fields import read_card_fields
    from dermtl.export.export import export_run
    from dermtl.runtime.bundle import read_bundle

    copied = shutil.copytree(folds, tmp_path / "folds")
    (copied / "fold-0" / "card.yaml").write_text("limits: Of the first fold.\n")
    assert read_bundle(export_run(copied, tmp_path / "none.onnx")).card == {}
    (copied / "card.yaml").write_text("intended_use: Of all folds.\n")
    bundle = read_bundle(export_run(copied, tmp_path / "all.onnx"))
    assert bundle.card == {"intended_use": "Of all folds."}
    assert bundle.provenance["folds"] == 3
    assert set(bundle.provenance["data"]) == {"digest"}, "sides and epochs are those of single folds"
    assert "epochs" not in bundle.provenance
    assert read_bundle(export_run(copied / "fold-0", tmp_path / "0.onnx")).card == {"limits": "Of the first fold."}
    assert read_card_fields(None, copied / "fold-1").intended_use == "Of all folds."


@pytest.mark.parametrize("precision", ["int8", "fp16", "auto"])
def test_an_ensemble_has_no_file_of_lower_precision(folds: Path, tmp_path: Path, precision: str) -> None:
    from dermtl.export.precision.search import export_precision

    with pytest.raises(InputError, match=f"no {precision} file") as caught:
        export_precision(folds, tmp_path / "all.onnx", precision)
    assert "fp32" in caught.value.hint
    assert "fold-0" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_folds_go_on_where_they_were_left(
    folds: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dermtl.training import folds as module

    real: Callable[..., RunFolder] = module.train

    def train(*arguments: object, **named: object) -> RunFolder:
        if str(named["run"]).endswith("fold-1"):
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(module, "train", train)
    with pytest.raises(KeyboardInterrupt):
        train_folds(tiny_experiment, ONE, num=3, run=tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(DataError, match="exists already"):
        train_folds(tiny_experiment, ONE, num=3, run=tmp_path / "run")
    train_folds(tiny_experiment, ONE, num=3, run=tmp_path / "run", resume=True)
    for one, other in zip(fold_runs(folds), fold_runs(tmp_path / "run"), strict=True):
        assert (one / "best.safetensors").read_bytes() == (other / "best.safetensors").read_bytes()


def test_folds_are_no_run(folds: Path, tmp_path: Path) -> None:

    with pytest.raises(InputError, match="cross-validation"):
        run_target(folds)
    with pytest.raises(ConfigError, match="not a run") as caught:
        load_run(folds)
    assert "fold-0" in caught.value.hint
    assert fold_runs(fold_runs(folds)[0]) == []
    assert load_ensemble(fold_runs(folds)[0]).kinds == load_run(fold_runs(folds)[0]).kinds
    (tmp_path / "folds.json").write_text(json.dumps({"runs": ["fold-0"]}))
    with pytest.raises(TrainingError, match="not trained"):
        fold_runs(tmp_path)
