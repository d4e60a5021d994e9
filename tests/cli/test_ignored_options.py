"""An option that would have no effect is refused, before anything is read."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dermtl.cli import dermtl


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "test"], "take no --split"),
        (["--split", "val", "--allow-leakage"], "take no --split and no --allow-leakage"),
        (["--flips"], "take no --flips"),
        (["--explain", "3"], "take no --explain"),
    ],
)
def test_folds_have_test_pictures_of_their_own(tmp_path: Path, options: list[str], words: str) -> None:
    (tmp_path / "folds.json").write_text("{}")
    result = CliRunner().invoke(dermtl, ["evaluate", str(tmp_path), *options])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--cases", "20"], "--cases choose"), (["--split", "val", "--cases", "3"], "--split and --cases choose")],
)
def test_pictures_to_explain_are_named_or_chosen(tmp_path: Path, options: list[str], words: str) -> None:
    (tmp_path / "a.png").touch()
    result = CliRunner().invoke(dermtl, ["explain", str(tmp_path), str(tmp_path / "a.png"), *options])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
