"""The report and the model card of one evaluation: all of it there, nothing from elsewhere, no text that is markup."""

import base64
import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from dermtl.cli.evaluate import evaluate
from dermtl.cli.model_card import model_card
from dermtl.errors import ConfigError, DataError, InputError, ManifestError
from dermtl.evaluation.formatting import interval_text
from dermtl.evaluation.model_card.fields import CardFields, evaluated_model
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.evaluation.report.sections import ranking
from dermtl.runtime.class_set import ClassSet
from dermtl.runtime.decision import Decision, Decisions

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a page shows and fetches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in found)
        self.tags.add(tag)
        self.links += [found[name] for name in ("src", "href", "xlink:href") if name in found]
        if tag == "img":
            self.images.append(found)

    def handle_data(self, data: str) -> None:
        self.text += data


def settle(run: Path) -> None:
    """A temperature and a threshold, as if validation had been large enough for them."""
    from dermtl.runs.folder import RunFolder

    chosen = {"rule": "youden", "lower_bound": False, "n": 40, "sensitivity": 0.9, "specificity": 0.8}
    point = Decision("diagnosis", "diagnosis.probability", "nevus", ("nevus",), 0.33, (0.33, 0.4), chosen)
    facts = {"split": "val", "records": 40, "weights": RunFolder(run).weights_digest(), "after_test": True}
    held = ClassSet("diagnosis", "diagnosis.probability", 0.9, 0.2)
    settled = Decisions({"diagnosis": 1.4}, (point,), {**facts, "unsettled": ["diagnosis: what was not"]}, (held,))
    (run / "decisions.json").write_text(json.dumps(settled.to_json()))


def write_readers(run: Path) -> Path:
    """Decisions of readers who are made up; one of them read half of the pictures, and bears a bad name."""
    with (run / "splits.csv").open(newline="") as file:
        images = [row["image"] for row in csv.DictReader(file)]
    rows = [
        (reader, image, int((index + shift) % 3 == 0))
        for shift, reader in enumerate(("R1", "R2", EVIL))
        for index, image in enumerate(images)
        if reader != EVIL or index % 2
    ]
    with (run / "readers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("reader", "image", "decision"), *rows])
    return run / "readers.csv"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, ["--resamples", "20", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def evaluated(scored_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation of all drawn pictures, in a run of its own."""
    run = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(scored_run, run, ignore=shutil.ignore_patterns("evaluation", "*.onnx"))
    settle(run)
    (run / "card.yaml").write_text(yaml.safe_dump({"intended_use": f"For {EVIL} | tests."}))
    readers = write_readers(run)
    result = call(run, "--split", "all", "--by", "sex,age:30", "--readers", readers, "--explain", 3)
    assert result.exit_code == 0, result.output
    assert "0.33" in result.output
    assert "of 3 readers lie below the curve" in result.output
    return run / "evaluation" / "all"


@pytest.fixture(scope="module")
def page(evaluated: Path) -> Page:
    return Page(evaluated / "report.html")


def test_every_section_is_there(page: Page) -> None:
    for title in (
        "Intended use and limits", "Data", "Leakage", "Decisions", "Ranking", "Confusion matrix", "Calibration",
        "By lesion or patient", "Subgroups", "Errors, and the best, median and worst cases", "Pictures", "Training",
        "Provenance", "Readers beside the model", "What answers depend on", "Participant flow (STARD)",
    ):  # fmt: skip
        assert title in page.text, title
    titles = [image["alt"] for image in page.images]
    for start in (
        "Specificity against sensitivity",
        "ROC, one class against the rest; area: ",
        "Precision by sensitivity; average precision: ",
        "Decided right",
        "Net benefit",
    ):
        assert any(title.startswith(start) for title in titles), start
    assert all(image["alt"] for image in page.images)
    assert "Worst:" in page.text or "none is the worst" in page.text
    assert "not estimable" in page.text


def test_what_a_reader_must_know_comes_first(page: Page) -> None:
    start = page.text.index("Intended use and limits")
    for notice in ("not a medical device", "fitted after a test split", "say little of others"):
        assert 0 <= page.text.find(notice) < start, notice
    assert "Not fitted: diagnosis: what was not" in page.text
    assert "sets that hold the true class" in page.text
    assert page.text.count("TODO") == len(CardFields.model_fields) - 1
    assert "chosen by youden" in page.text


def test_nothing_is_fetched_and_no_text_is_markup(page: Page, evaluated: Path) -> None:
    assert not {"script", "iframe", "link", "object", "embed", "form"} & page.tags
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert EVIL in page.text
    text = (evaluated / "report.html").read_text()
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)
    assert "default-src 'none'" in text


def test_best_median_and_worst_are_drawn(page: Page, evaluated: Path) -> None:
    cases = [image for image in page.images if image["alt"].startswith("truth and prediction")]
    assert len(cases) == 2 * 9, "three of each for the circle and the outline"
    assert page.text.count("worst:") >= 6


def test_figures_are_those_of_the_json(page: Page, evaluated: Path) -> None:
    found: dict[str, Any] = json.loads((evaluated / "metrics.json").read_text())
    assert found["settled"]["temperatures"] == {"diagnosis": 1.4}
    assert set(found["subgroups"]) == {"sex", "age:30"}
    decided = found["decisions"]["diagnosis"]["nevus"]
    assert decided["threshold"] == 0.33
    for figure in decided["figures"].values():
        if figure["value"] is not None:
            assert f"{figure['value']:.4g}" in page.text
    for head, figures in found["heads"].items():
        assert f"{figures[found['primary'][head]]['value']:.4g}" in page.text
    with (evaluated / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    called = [float(row["diagnosis.probability.nevus"]) >= 0.33 for row in rows]
    assert called == [float(row["diagnosis.decision.nevus"]) == 1 for row in rows]
    ill = [row["diagnosis.truth.class"] == "nevus" for row in rows]
    hits = sum(one and other for one, other in zip(called, ill, strict=True))
    assert decided["figures"]["sensitivity"]["value"] == pytest.approx(hits / sum(ill))


def test_readers_stand_on_the_plot_of_their_question(page: Page, evaluated: Path) -> None:
    found = json.loads((evaluated / "metrics.json").read_text())["readers"]
    assert (found["head"], found["positive"]) == ("diagnosis", ["nevus"])
    assert set(found["readers"]) == {"R1", "R2", EVIL}
    assert found["readers"][EVIL]["n"] == 12
    assert found["below"]["of"] == 3
    (drawn,) = [image["alt"] for image in page.images if image["alt"].startswith("Specificity against sensitivity")]
    below = found["below"]
    told = f"{below['value']:g} of 3 readers lie below the curve (95% interval {below['low']:g} to {below['high']:g})"
    assert told in drawn
    assert told in page.text
    assert f"their mean {found['mean']['sensitivity']['value']:.3f}" in drawn
    assert "Not everybody read all of them." in page.text


@pytest.fixture
def unsettled(scored_run: Path, tmp_path: Path) -> Path:
    """A run without frozen thresholds."""
    ignored = shutil.ignore_patterns("evaluation", "*.onnx", "decisions.json")
    return Path(shutil.copytree(scored_run, tmp_path / "run", ignore=ignored))


@pytest.mark.slow
def test_readers_need_no_frozen_threshold(unsettled: Path) -> None:
    readers = write_readers(unsettled)
    names = ["--positive", "nevus", "--positive", "melanoma"]
    result = call(unsettled, "--split", "all", "--readers", readers, *names)
    assert result.exit_code == 0, result.output
    page = Page(unsettled / "evaluation" / "all" / "report.html")
    assert any(image["alt"].startswith("Specificity against sensitivity of nevus or mel") for image in page.images)


def test_bad_readers_are_found_before_anything_is_predicted(unsettled: Path) -> None:
    readers = write_readers(unsettled)
    with pytest.raises(InputError, match="what did the readers call positive"):
        call(unsettled, "--split", "all", "--readers", readers)
    with pytest.raises(ManifestError, match=r"readers\.csv:.*was not predicted"):
        call(unsettled, "--readers", readers, "--positive", "nevus")
    assert call(unsettled, "--split", "all", "--positive", "nevus").exit_code == 2
    readers.write_text(readers.read_text().replace(",1\n", ",yes\n", 1))
    with pytest.raises(ManifestError, match=r"readers\.csv:.*'yes'"):
        call(unsettled, "--split", "all", "--readers", readers, "--positive", "nevus")
    assert not (unsettled / "evaluation").exists()


def test_explained_pictures_have_numbers_for_names(page: Page, evaluated: Path) -> None:
    with (evaluated / "explained.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["case-01", "case-02", "case-03"]
    assert {row["head"] for row in rows} == {"diagnosis"}
    shown = [image for image in page.images if image["alt"].startswith("case-")]
    assert all(image["src"].startswith("data:image/jpeg") for image in shown)
    assert not any(row["image"] in image["alt"] for row in rows for image in shown)
    assert {"case-01: as the network sees it", "case-03: as the network sees it"} <= {image["alt"] for image in shown}
    assert "input gradient" in page.text
    assert "Grad-CAM" in page.text
    with (evaluated / "predictions.csv").open(newline="") as file:
        predicted = {row["image"]: row for row in csv.DictReader(file)}
    right = {
        image: float(row[f"diagnosis.probability.{row['diagnosis.truth.class']}"]) for image, row in predicted.items()
    }
    assert [row["image"] for row in rows] == sorted(right, key=lambda image: right[image])[:3]


def ranked(num_classes: int, num: int = 900) -> SimpleNamespace:
    """As much of a report's context as the plots of a ranking look at; the last class is never true."""
    rng = np.random.default_rng(0)
    names = tuple(f"kind $ {index}" for index in range(num_classes))
    truth = rng.integers(0, num_classes - 1, num)[:, None] == np.arange(num_classes)
    values = rng.dirichlet(np.ones(num_classes), num)
    found = Probabilities("d", "d.probability", names, values, truth, np.arange(num), True)
    predictions = SimpleNamespace(probabilities={"d": found})
    return SimpleNamespace(evaluation=SimpleNamespace(predictions=predictions, readers=None, decisions={}))


@pytest.mark.parametrize("num_classes", [4, 13])
def test_all_classes_that_can_be_ranked_are_drawn(num_classes: int) -> None:
    context = ranked(num_classes)
    found = ranking.view(context, "d")  # type: ignore[arg-type]
    assert found is not None
    *names, never = context.evaluation.predictions.probabilities["d"].names
    assert found["left_out"] == [never]
    assert len(found["plots"]) == 2
    for figure in found["plots"]:
        assert all(f"{name} 0." in figure.text for name in names)
        drawing = base64.b64decode(figure.url.partition(",")[2])
        assert drawing.count(b'id="axes_') == (1 if num_classes == 4 else num_classes - 1)
        assert len(drawing) < 1_000_000


@pytest.mark.slow
def test_folds_have_a_report_of_their_own(scored_run: Path, tmp_path: Path) -> None:
    """Two folds of one training stand for a cross-validation: what is asked here is who answers which picture."""
    folder = tmp_path / "run"
    with (scored_run / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    groups = sorted({row["group"] for row in rows})
    for fold in range(2):
        own = folder / f"fold-{fold}"
        shutil.copytree(scored_run, own, ignore=shutil.ignore_patterns("evaluation", "resume", "*.onnx"))
        sides = {group: "test" if index % 2 == fold else "train" for index, group in enumerate(groups)}
        with (own / "splits.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "group", "split")])
            csv.writer(file).writerows((row["image"], row["group"], sides[row["group"]]) for row in rows)
    (folder / "folds.json").write_text(json.dumps({"runs": ["fold-0", "fold-1"]}))
    assert call(folder, "--explain", 1).exit_code == 2
    result = call(folder)
    assert result.exit_code == 0, result.output
    out = folder / "evaluation" / "out-of-fold"
    page = Page(out / "report.html")
    found = json.loads((out / "metrics.json").read_text())
    assert found["data"]["flow"]["evaluated"]["records"] == 24
    assert "one of 2 models" in page.text
    assert "trained on:" not in page.text, "no picture was answered by a model that had seen it"
    assert all(f"weights.fold-{fold}" in page.text for fold in range(2))
    for head, figures in found["heads"].items():
        assert f"{figures[found['primary'][head]]['value']:.4g}" in page.text
    assert [image for image in page.images if image["alt"].startswith("truth and prediction")]


def test_what_cannot_be_explained_is_refused(evaluated: Path, tmp_path: Path) -> None:
    run = evaluated.parents[1]
    (tmp_path / "model.onnx").write_bytes(b"")
    for arguments in ([run, "--flips"], [tmp_path / "model.onnx"]):
        result = call(*arguments, "--explain", 2)
        assert result.exit_code == 2
        assert "--explain takes a run" in result.output


def test_every_picture_of_the_table_is_accounted_for(page: Page, evaluated: Path) -> None:
    flow = json.loads((evaluated / "metrics.json").read_text())["data"]["flow"]
    assert flow["table"]["records"] == flow["evaluated"]["records"] == 24
    left = sum(step["records"] for step in flow["heads"]["age"]["left_out"])
    assert left > 0, "some drawn ages are missing"
    assert flow["heads"]["age"]["scored"]["records"] == 24 - left
    assert "age, no truth: empty cell in age" in page.text


def test_a_browser_opens_it_in_silence(evaluated: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs a Chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    url = (evaluated / "report.html").as_uri()
    done = subprocess.run(
        [*command, f"--user-data-dir={tmp_path}", url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0
    assert "Evaluation of tiny" in done.stdout
    assert "CONSOLE" not in done.stderr


def test_the_card_says_the_same(evaluated: Path) -> None:
    text = (evaluated / "model_card.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert header["library_name"] == "dermtl"
    assert header["pipeline_tag"] == "image-classification"
    found = json.loads((evaluated / "metrics.json").read_text())
    for result in header["model-index"][0]["results"]:
        (metric,) = result["metrics"]
        assert metric["value"] == found["heads"][result["task"]["name"]][metric["name"]]["value"]
    assert EVIL not in text
    assert r"\<script\>" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5, 6), line


def test_strict_fails_while_anything_is_open(evaluated: Path, tmp_path: Path) -> None:
    run, out = evaluated.parents[1], tmp_path / "README.md"
    arguments = [str(run), "--split", "all", "--out", str(out)]
    assert CliRunner().invoke(model_card, arguments, catch_exceptions=False).exit_code == 0
    result = CliRunner().invoke(model_card, [*arguments, "--strict"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "limits" in result.output
    assert out.read_text() == (evaluated / "model_card.md").read_text()
    told = {name: "Told." for name in CardFields.model_fields}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(told))
    arguments += ["--strict", "--facts", str(tmp_path / "facts.yaml")]
    assert CliRunner().invoke(model_card, arguments, catch_exceptions=False).exit_code == 0
    assert "TODO" not in out.read_text()


def test_the_card_of_somebody_else_is_not_taken(evaluated: Path, tmp_path: Path) -> None:
    """Only the run that an evaluation lies below is known to be its own; folders above others are not looked into."""
    folder = tmp_path / "p" / "q" / "r"
    folder.mkdir(parents=True)
    shutil.copy(evaluated / "metrics.json", folder)
    for place in (folder, *list(folder.parents)[:3]):
        (place / "card.yaml").write_text("intended_use: Of somebody else.\n")
    result = CliRunner().invoke(model_card, [str(folder)], catch_exceptions=False)
    assert "nothing says whose evaluation this is; --facts" in result.output
    assert "Of somebody else" not in (folder / "model_card.md").read_text()
    named = CliRunner().invoke(model_card, [str(folder), "--facts", str(folder / "card.yaml")], catch_exceptions=False)
    assert "nothing says" not in named.output
    assert "Of somebody else" in (folder / "model_card.md").read_text()


def test_an_evaluation_below_a_model_is_its_own(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for place in (run, elsewhere):
        (place / "evaluation" / "test").mkdir(parents=True)
        (place / "evaluation" / "model" / "test").mkdir(parents=True)
    (run / "config.yaml").touch()
    (elsewhere / "model.onnx").touch()
    assert evaluated_model(run / "evaluation" / "test") == run
    assert evaluated_model(elsewhere / "evaluation" / "model" / "test") == elsewhere / "model.onnx"
    assert evaluated_model(elsewhere / "evaluation" / "test") is None
    assert evaluated_model(run / "evaluation" / "model" / "test") == run
    assert evaluated_model(Path("/")) is None


def test_the_command_says_whose_texts_it_took(
    evaluated: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "dermtl.evaluation.model_card.fields")
    monkeypatch.chdir(evaluated)
    arguments = [".", "--out", str(tmp_path / "card.md")]
    assert CliRunner().invoke(model_card, arguments, catch_exceptions=False).exit_code == 0
    assert f"card: the texts of {evaluated.parents[1] / 'card.yaml'}" in caplog.text
    assert (tmp_path / "card.md").read_text() == (evaluated / "model_card.md").read_text()


def test_wrong_input_is_named(evaluated: Path, tmp_path: Path) -> None:
    run = evaluated.parents[1]
    with pytest.raises(InputError, match="dermtl evaluate"):
        CliRunner().invoke(model_card, [str(tmp_path)], catch_exceptions=False)
    (tmp_path / "metrics.json").write_text('{"heads": {}}')
    with pytest.raises(DataError, match="lacks primary"):
        CliRunner().invoke(model_card, [str(tmp_path)], catch_exceptions=False)
    (tmp_path / "facts.yaml").write_text("intended_usage: x\n")
    with pytest.raises(ConfigError, match=r"facts\.yaml:1.*intended_use"):
        call(run, "--facts", tmp_path / "facts.yaml")
    with pytest.raises(ConfigError, match="no such file"):
        call(run, "--facts", tmp_path / "none.yaml")
    with pytest.raises(ManifestError, match="no column 'skin'"):
        call(run, "--by", "skin")
    with pytest.raises(ManifestError, match="no column 'skin'"):
        call(run, "--unit", "skin")


def test_wilson_stands_in_for_an_interval_of_no_width() -> None:
    assert interval_text({"low": 1.0, "high": 1.0, "wilson": [0.8, 1.0]}) == "0.8 to 1 (Wilson)"
    assert interval_text({"low": 0.5, "high": 0.75, "wilson": [0.4, 0.8]}) == "0.5 to 0.75"
    assert interval_text({"low": None, "high": None}) == "not estimable"
