"""``dermtl evaluate`` on a run, on its exported model, and on other tables."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dermtl.cli.evaluate import evaluate
from dermtl.data.synthetic.dataset import synthesise
from dermtl.errors import ConfigError, DermtlError, InputError, ManifestError


def run(*arguments: object) -> str:
    """The command's output; what it raises is raised."""
    result = CliRunner().invoke(evaluate, ["--resamples", "20", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def read_json(path: Path) -> dict[str, Any]:
    def refuse(text: str) -> Any:
        raise ValueError(f"{text} is not JSON")

    found: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return found


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Sources(HTMLParser):
    """Everything a page would fetch or run, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def read_report(path: Path) -> Sources:
    page = Sources()
    page.feed(path.read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="module")
def of_run(scored_run: Path) -> Path:
    run(scored_run, "--split", "all")
    return scored_run / "evaluation" / "all"


@pytest.mark.slow
def test_a_run_and_its_exported_model_score_alike(of_run: Path, exported: Path, tmp_path: Path) -> None:
    run(exported, "--split", "all", "--out", tmp_path)
    one, other = read_json(of_run / "metrics.json"), read_json(tmp_path / "metrics.json")
    assert one["heads"].keys() == other["heads"].keys() == {"diagnosis", "extent", "outline", "age"}
    assert one["data"] == other["data"]
    for head, figures in one["heads"].items():
        assert figures
        for metric, figure in figures.items():
            for key in ("value", "low", "high", "n"):
                value, same = figure[key], other["heads"][head][metric][key]
                assert same == (value if value is None else pytest.approx(value, rel=1e-4, abs=1e-5)), metric
    rows, others = read_csv(of_run / "predictions.csv"), read_csv(tmp_path / "predictions.csv")
    assert rows[0].keys() == others[0].keys()
    predicted = [column for column in rows[0] if column not in ("image", "group") and ".truth." not in column]
    for row, same in zip(rows, others, strict=True):
        for column, number in row.items():
            if column not in predicted:
                assert same[column] == number, column
            else:
                slack = 3 if column.endswith("area_px") else 1e-3  # a pixel at one half may fall either way
                assert float(same[column]) == pytest.approx(float(number), rel=1e-3, abs=slack), column


@pytest.mark.slow
def test_an_exported_model_in_its_run_needs_no_table(exported: Path, scored_run: Path) -> None:
    run(exported)
    folder = scored_run / "evaluation" / "model" / "test"
    assert {"metrics.json", "predictions.csv", "report.html"} <= {path.name for path in folder.iterdir()}
    assert len(read_json(folder / "metrics.json")["model"]["sha256"]) == 64


@pytest.mark.slow
def test_an_exported_model_alone_needs_a_table(exported: Path, drawn: Path, tmp_path: Path) -> None:
    alone = tmp_path / "away" / "model.onnx"
    alone.parent.mkdir()
    shutil.copy(exported, alone)
    with pytest.raises(InputError, match="nothing to evaluate") as caught:
        run(alone)
    assert "--manifest" in caught.value.hint
    out = tmp_path / "out"
    run(alone, "--manifest", drawn / "manifest.csv", "--split", "all", "--out", out)
    found = read_json(out / "metrics.json")["data"]
    assert found["records"] == 24
    assert not found["leakage"]["checked"]
    assert "lies in no run" in found["leakage"]["why"]
    assert "lies in no run" in read_report(out / "report.html").text


def test_predictions_have_the_columns_of_the_design(of_run: Path, drawn: Path) -> None:
    rows = read_csv(of_run / "predictions.csv")
    classes = sorted({row["label"] for row in read_csv(drawn / "manifest.csv")})
    assert list(rows[0]) == [
        "image",
        "group",
        *(f"diagnosis.probability.{name}" for name in classes),
        "extent.circle.cx",
        "extent.circle.cy",
        "extent.circle.r",
        "outline.mask.lesion.area_px",
        "age.value.age",
        "diagnosis.truth.class",
        "extent.truth.cx",
        "extent.truth.cy",
        "extent.truth.r",
        "outline.truth.lesion.area_px",
        "age.truth.age",
    ]
    assert len(rows) == 24
    for row in rows:
        assert sum(float(row[f"diagnosis.probability.{name}"]) for name in classes) == pytest.approx(1, abs=1e-4)
        assert row["group"]


def test_metrics_are_json_with_intervals(of_run: Path) -> None:
    found = read_json(of_run / "metrics.json")
    settled = {"decisions", "calibration", "subgroups", "units", "settled", "readers"}
    assert set(found) == {"heads", "primary", "data", "model", "plans", *settled}
    for head, figures in found["heads"].items():
        assert found["primary"][head] in figures
        for figure in figures.values():
            assert {"value", "low", "high", "n", "method"} <= set(figure)
    assert found["heads"]["age"][found["primary"]["age"]]["n"] < 24, "some drawn ages are missing"
    assert found["heads"]["extent"]["circle_iou"]["n"] == 24
    assert set(found["heads"]["extent"]["circle_iou"]["baselines"]) == {"constant", "centred"}
    assert "baselines" not in found["heads"]["outline"]["dice"]


def test_the_report_needs_nothing_else(of_run: Path) -> None:
    page = read_report(of_run / "report.html")
    assert page.links, "pictures must be there"
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert not {"script", "iframe", "link", "object", "embed", "form"} & set(page.tags)
    text = (of_run / "report.html").read_text()
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)
    assert page.tags.count("img") >= 8
    assert "svg" in page.tags
    for figures in read_json(of_run / "metrics.json")["heads"].values():
        assert all(metric in page.text for metric in figures)


def test_another_table(scored_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "clinic"
    rows = read_csv(synthesise(other, num=6, seed=9))
    with (other / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "split"])
        writer.writeheader()
        for index, row in enumerate(rows):
            ids = {column: f"clinic-{row[column]}" for column in ("patient_id", "lesion_id")}
            writer.writerow({**row, **ids, "split": "val" if index < 2 else "test"})
    run(scored_run, "--manifest", other / "labels.csv", "--split", "all", "--out", tmp_path / "all")
    assert read_json(tmp_path / "all" / "metrics.json")["data"]["records"] == 6
    run(scored_run, "--manifest", other / "labels.csv", "--out", tmp_path / "test")
    assert [row["image"] for row in read_csv(tmp_path / "test" / "predictions.csv")] == [r["image"] for r in rows[2:]]
    with pytest.raises(ManifestError, match="train"):
        run(scored_run, "--manifest", other / "labels.csv", "--split", "train", "--out", tmp_path / "train")


def test_names_are_text_in_the_report(drawn: Path, tmp_path: Path) -> None:
    """A picture's name and a class's name from a foreign table are never markup."""
    from dermtl.training.train import train

    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    evil_class, rows = "<script>alert(1)</script>", read_csv(drawn / "manifest.csv")[:8]
    names = []
    for index, row in enumerate(rows):
        name = f"images/<img src=x onerror=alert({index})>&quot;.jpg"
        shutil.copy(drawn / row["image"], data / name)
        names.append((name, evil_class if index % 2 else "plain & simple"))
    with (data / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label"), *names])
    (tmp_path / "evil.yaml").write_text(
        f"name: evil\ndata: {{root: '{data}', split: {{train: 0.5, val: 0, test: 0.5}}}}\n"
        "backbone: {name: test_resnet, pretrained: false, image_size: 64}\n"
        "heads: {diagnosis: {type: classification}}\n"
        "training: {stages: [{epochs: 1}], batch_size: 4, workers: 0, accelerator: cpu}\n"
    )
    trained = train(tmp_path / "evil.yaml", run=tmp_path / "run")
    run(trained.path)
    page = read_report(trained.path / "evaluation" / "test" / "report.html")
    assert "script" not in page.tags
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert evil_class in page.text
    assert "onerror=alert" in page.text
    columns = read_csv(trained.path / "evaluation" / "test" / "predictions.csv")[0]
    assert f"diagnosis.probability.{evil_class}" in columns


@pytest.mark.parametrize("split", ["testing", ""])
def test_an_unknown_split(scored_run: Path, split: str) -> None:
    with pytest.raises(InputError, match="train, val, test or all"):
        run(scored_run, "--split", split)


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run"):
        run(tmp_path)
    for content in (None, b"", b"no model"):
        path = tmp_path / "model.onnx"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DermtlError):
            run(path)
