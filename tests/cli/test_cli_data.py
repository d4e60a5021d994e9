from pathlib import Path

import pytest
from click.testing import CliRunner

from dermtl.cli import dermtl
from dermtl.errors import ManifestError


def run(*arguments: object) -> str:
    result = CliRunner().invoke(dermtl, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_draw_then_split(tmp_path: Path) -> None:
    assert "30 pictures" in run("data", "synth", tmp_path / "demo", "--num", 30)
    table = run("data", "split", tmp_path / "demo" / "manifest.csv", "--out", tmp_path / "splits", "--by", "patient_id")
    assert "pairs of copies joined" in table.splitlines()[0]
    assert table.splitlines()[1].split() == ["split", "class", "images", "groups"]
    assert [line.split()[0] for line in table.splitlines() if " all " in line] == ["train", "val", "test"]
    assert len((tmp_path / "splits" / "splits.csv").read_text().splitlines()) == 31
    for name in ("balance.csv", "leakage_pairs.csv", "leakage.html"):
        assert (tmp_path / "splits" / name).is_file()


def test_folds(drawn: Path, tmp_path: Path) -> None:
    run("data", "split", drawn / "manifest.csv", "--out", tmp_path, "--folds", 3, "--no-copies")
    lines = (tmp_path / "splits.csv").read_text().splitlines()
    assert lines[0] == "image,group,fold"
    assert {line.rpartition(",")[2] for line in lines[1:]} == {"0", "1", "2"}
    assert not (tmp_path / "leakage.html").exists()


def test_fractions_seed_and_folders(tmp_path: Path) -> None:
    for index in range(20):
        path = tmp_path / "set" / ("a" if index % 2 else "b") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    arguments = (
        "data",
        "split",
        tmp_path / "set",
        "--out",
        tmp_path / "out",
        "--fractions",
        "train=.8, val=.2",
        "--no-copies",
    )
    table = run(*arguments)
    assert "test" not in table
    first = (tmp_path / "out" / "splits.csv").read_bytes()
    run(*arguments)
    assert (tmp_path / "out" / "splits.csv").read_bytes() == first
    run(*arguments, "--seed", 3)
    assert (tmp_path / "out" / "splits.csv").read_bytes() != first


@pytest.mark.parametrize(("value", "words"), [("train=.5", "sum to 1"), ("dev=1", "'dev=1'"), ("train=x", "'train=x'")])
def test_wrong_fractions(drawn: Path, tmp_path: Path, value: str, words: str) -> None:
    arguments = ["data", "split", str(drawn / "manifest.csv"), "--out", str(tmp_path), "--fractions", value]
    result = CliRunner().invoke(dermtl, arguments)
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--folds", "3", "--preset", "esteva2017"], "--folds and --preset exclude"),
        (["--folds", "3", "--fractions", "train=.7,val=.15,test=.15"], "--fractions and --folds exclude"),
        (["--preset", "esteva2017", "--fractions", "train=.5,val=.25,test=.25"], "--fractions and --preset exclude"),
        (["--weights", "weights.safetensors"], "--weights needs --features"),
    ],
)
def test_options_that_would_be_ignored_are_refused(drawn: Path, tmp_path: Path, options: list[str], words: str) -> None:
    arguments = ["data", "split", str(drawn / "manifest.csv"), "--out", str(tmp_path / "out"), *options]
    result = CliRunner().invoke(dermtl, arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_an_unknown_column_is_a_users_fault(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no column 'eye'"):
        run("data", "split", drawn / "manifest.csv", "--out", tmp_path, "--by", "eye")
