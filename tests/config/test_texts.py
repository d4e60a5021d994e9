from pathlib import Path

import pytest

from dermtl.config.load import load_experiment
from dermtl.errors import ConfigError
from dermtl.plugins.plan import plan_heads

BASE = """name: a
backbone: {{name: resnet18}}
heads:
  dx: {{type: classification, classes: {classes}}}
training: {{stages: [{{epochs: 1}}]}}
"""


def classes(path: Path, text: str, *overrides: str) -> tuple[str, ...]:
    path.write_text(BASE.format(classes=text))
    experiment, source = load_experiment(path, overrides)
    return tuple(plan_heads(experiment, source)["dx"].target.classes)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[0, 1]", ("0", "1")),
        ("[01, 02, 10]", ("01", "02", "10")),
        ("[False, true]", ("False", "true")),
        ("[no, yes]", ("no", "yes")),
        ("[1e3, 1.0, -2]", ("1e3", "1.0", "-2")),
        ("[1, nevus]", ("1", "nevus")),
    ],
)
def test_classes_are_text_as_they_were_written(written: str, read: tuple[str, ...], tmp_path: Path) -> None:
    assert classes(tmp_path / "e.yaml", written) == read


def test_overrides_and_extended_files_are_text_too(tmp_path: Path) -> None:
    assert classes(tmp_path / "e.yaml", "[a, b]", "heads.dx.classes=[007, true]") == ("007", "true")
    (tmp_path / "f.yaml").write_text("extends: ./e.yaml\nname: b\n")
    classes(tmp_path / "e.yaml", "[00, 11]", "heads.dx.positive=[11]")
    experiment, source = load_experiment(tmp_path / "f.yaml")
    assert plan_heads(experiment, source)["dx"].target.classes == ("00", "11")  # type: ignore[attr-defined]


def test_what_is_no_plain_value_is_still_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="classes"):
        classes(tmp_path / "e.yaml", "[[1], b]")
    with pytest.raises(ConfigError, match="classes"):
        classes(tmp_path / "e.yaml", "[null, b]")


def test_a_class_called_like_an_empty_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"e.yaml:4.*'none' is a word that counts as an empty cell"):
        classes(tmp_path / "e.yaml", "[none, polyp]")
    assert classes(tmp_path / "e.yaml", "[none, polyp]", "data.missing=[NA]") == ("none", "polyp")
