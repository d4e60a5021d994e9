"""``dermtl calibrate`` on a run, and that run and file then decide alike."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dermtl.cli.calibrate import calibrate
from dermtl.errors import BundleError, ConfigError, PluginContract
from dermtl.runtime.class_set import ClassSet
from dermtl.runtime.decision import Decision, Decisions


def run(*arguments: object) -> Result:
    return CliRunner().invoke(calibrate, [*map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def copied(scored_run: Path, tmp_path: Path) -> Path:
    """A run of its own, not calibrated, whose validation split is all that is not tested on."""
    folder = tmp_path / "run"
    shutil.copytree(scored_run, folder, ignore=shutil.ignore_patterns("evaluation", "decisions.json", "*.onnx"))
    splits = (folder / "splits.csv").read_text().replace(",train", ",val")
    (folder / "splits.csv").write_text(splits)
    config = (folder / "config.yaml").read_text()
    assert "positive: []" in config
    (folder / "config.yaml").write_text(config.replace("positive: []", "positive: [nevus]"))
    return folder


@pytest.fixture
def temperature(monkeypatch: pytest.MonkeyPatch) -> float:
    """One for a network of one epoch, which ranks too badly to have a likeliest."""
    monkeypatch.setattr("dermtl.evaluation.decisions.fit.fit_temperature", lambda *arguments: 0.5)
    return 0.5


def test_training_settles_by_itself(scored_run: Path) -> None:
    found = json.loads((scored_run / "decisions.json").read_text())
    assert found["facts"]["split"] == "val"
    assert found["temperatures"] == {}, "four validation records are too few"


def test_it_settles_once(copied: Path, temperature: float) -> None:
    result = run(copied)
    assert result.exit_code == 0, result.output
    first = (copied / "decisions.json").read_text()
    found = Decisions.from_json(json.loads(first))
    assert found.temperatures == {"diagnosis": temperature}
    assert [decision.name for decision in found.binary] == ["nevus"]
    assert not found.facts["after_test"]
    with pytest.raises(ConfigError, match="--replace"):
        run(copied)
    (copied / "evaluation" / "test").mkdir(parents=True)
    result = run(copied, "--replace", "--rule", "specificity>=0.5")
    assert "had been evaluated" in result.output
    again = Decisions.from_json(json.loads((copied / "decisions.json").read_text()))
    assert again.binary[0].chosen["rule"] == "specificity>=0.5"
    assert again.facts["after_test"]
    assert again.temperatures == found.temperatures


def test_sets_are_added_and_nothing_else_moves(copied: Path, temperature: float) -> None:
    run(copied)
    before = Decisions.from_json(json.loads((copied / "decisions.json").read_text()))
    assert before.sets == ()
    (copied / "evaluation" / "test").mkdir(parents=True)
    result = run(copied, "--conformal", 0.8)
    assert result.exit_code == 0, result.output
    assert "had been evaluated" in result.output
    after = Decisions.from_json(json.loads((copied / "decisions.json").read_text()))
    (held,) = after.sets
    assert (held.head, held.output, held.coverage) == ("diagnosis", "diagnosis.probability", 0.8)
    assert held.chosen["coverage"] >= 0.8
    assert after == Decisions(before.temperatures, before.binary, {**before.facts, "sets_after_test": True}, after.sets)
    for again in (("--conformal", 0.9), ("--conformal", 0.9, "--rule", "youden")):
        with pytest.raises(ConfigError, match="--replace"):
            run(copied, *again)
    run(copied, "--conformal", 0.7, "--replace")
    replaced = Decisions.from_json(json.loads((copied / "decisions.json").read_text()))
    assert replaced.sets[0].coverage == 0.7
    assert replaced.binary == before.binary


def test_a_promise_that_cannot_be_kept_is_a_finding(copied: Path) -> None:
    result = run(copied, "--conformal", 0.99)
    assert result.exit_code == 1
    found = json.loads((copied / "decisions.json").read_text())
    assert found["sets"] == []
    assert "need 99 groups" in found["facts"]["unsettled"][-1]
    assert run(copied, "--conformal", 1).exit_code == 2


def test_the_key_of_the_head_holds(copied: Path) -> None:
    config = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(config.replace("conformal: null", "conformal: 0.75"))
    run(copied)
    (held,) = Decisions.from_json(json.loads((copied / "decisions.json").read_text())).sets
    assert held.coverage == 0.75


def test_a_rule_that_cannot_be_met_is_a_finding(copied: Path) -> None:
    result = run(copied, "--rule", "sensitivity>=0.999", "--lower-bound")
    assert result.exit_code == 1
    assert not json.loads((copied / "decisions.json").read_text())["questions"]
    with pytest.raises(ConfigError, match="unknown rule"):
        run(copied, "--replace", "--rule", "best")
    with pytest.raises(ConfigError, match="--rule"):
        run(copied, "--replace", "--lower-bound")


def test_decisions_of_other_weights_are_refused(copied: Path) -> None:
    from dermtl.runs.folder import load_run

    run(copied)
    settled = json.loads((copied / "decisions.json").read_text())
    settled["facts"]["weights"] = "0" * 64
    (copied / "decisions.json").write_text(json.dumps(settled))
    with pytest.raises(BundleError, match="other weights"):
        load_run(copied)


def test_the_end_of_training_never_fails_for_it(
    copied: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dermtl.runs import calibrate as module

    (copied / "decisions.json").write_text("no JSON")
    module.calibrate_trained(copied)
    settled = (copied / "decisions.json").read_bytes()
    assert Decisions.from_json(json.loads(settled)).binary

    def refuse(*arguments: object, **options: object) -> Decisions:
        raise ConfigError("not today")

    monkeypatch.setattr(module, "calibrate_run", refuse)
    module.calibrate_trained(copied)
    assert "not today" not in caplog.text, "it was settled for these weights"
    (copied / "decisions.json").unlink()
    module.calibrate_trained(copied)
    assert "not today" in caplog.text


def test_a_head_without_plain_logits_is_found_out(
    copied: Path, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dermtl.model.head import Head

    monkeypatch.setattr(Head, "temper", lambda self, raw, temperature: raw * temperature)
    monkeypatch.setattr("dermtl_classification.category.head.ClassificationHead.temper", Head.temper)
    with pytest.raises(PluginContract, match=r"diagnosis.*temper"):
        run(copied)


@pytest.mark.slow
def test_run_and_file_apply_the_same(copied: Path, drawn: Path) -> None:
    from dermtl.evaluation.evaluation_target import exported_target
    from dermtl.export.export import export_run
    from dermtl.imaging.decode import read_image
    from dermtl.runs.evaluation_target import run_target
    from dermtl.runs.folder import RunFolder

    plain = run_target(copied)
    asked = Decision("diagnosis", "diagnosis.probability", "nevus", ("nevus",), 0.4, None, {})
    held = ClassSet("diagnosis", "diagnosis.probability", 0.9, 0.3)
    settled = Decisions({"diagnosis": 0.25}, (asked,), {"weights": RunFolder(copied).weights_digest()}, (held,))
    (copied / "decisions.json").write_text(json.dumps(settled.to_json()))
    subject, exported = run_target(copied), exported_target(export_run(copied, copied / "model.onnx"))
    assert subject.decisions == exported.decisions == settled
    images = [read_image(drawn / "images" / f"{index:05d}.jpg") for index in range(4)]
    before, one, other = (
        np.array([values["diagnosis.probability"] for values in found.predictor.predict_values(images)])
        for found in (plain, subject, exported)
    )
    assert np.abs(one - before).max() > 0.01
    assert np.allclose(one, before**4 / (before**4).sum(axis=1, keepdims=True), atol=1e-5)
    assert np.abs(one - other).max() < 5e-3  # the ways letterbox on the host alike; what differs is the runtime
