"""What ``dermtl plugins new`` refuses, and what it writes; that it works is tested with the kit."""

import pytest

from dermtl.errors import InputError
from dermtl.plugins.scaffold import render


@pytest.mark.parametrize("name", ["Freckle", "2nd", "a-b", "a__b", "class", "", "a.b", "../up", "_a"])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    with pytest.raises(InputError, match=r"expected a name of lower-case letters|is a word of Python"):
        render(name, "circle", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a head 'circle' is installed already, from dermtl-regression"):
        render("circle", "circle", tmp_path / "x")


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match=r"exists already.*--into"):
        render("freckle", "circle", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("kind", ["category", "tags", "circle", "mask", "number", "own"])
def test_a_distribution_is_whole(kind, tmp_path):
    render("age_spot", kind, tmp_path / "x")
    files = {path.relative_to(tmp_path / "x").as_posix() for path in (tmp_path / "x").rglob("*") if path.is_file()}
    package = {f"dermtl_age_spot/{name}" for name in ("__init__.py", "spec.py", "config.py", "head.py", "metrics.py")}
    assert files >= package | {"pyproject.toml", "README.md", "LICENSE", "ci/check.yml", "tests/test_age_spot.py"}
    assert ("dermtl_age_spot/kind.py" in files) is (kind == "own")
    text = "".join((tmp_path / "x" / name).read_text() for name in files)
    assert not any(mark in text for mark in ("${", "PACKAGE", "NAME"))
    assert "class AgeSpotHead(Head)" in text
