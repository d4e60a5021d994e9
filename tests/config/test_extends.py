"""What an experiment takes over from other files, what wins, and where faults are told to be."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dermtl.config.document import Source, parse
from dermtl.config.extends import merge
from dermtl.config.load import load_experiment
from dermtl.config.source import parse_source, read_source
from dermtl.errors import ConfigError

leaves = st.none() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
names = st.sampled_from("abc")
trees = st.dictionaries(
    names, st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=3)), max_size=3
)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_mappings_merge_and_the_rest_is_replaced(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="a: {x: 1, y: [1, 2], z: {deep: 1, kept: 2}}\nb: 1\nc: [1, 2]\nd: {gone: 1}\n",
        own="extends: base.yaml\na: {y: [3], z: {deep: 9}}\nc: null\nd: word\ne: new\n",
    )
    assert read_source(tmp_path / "own.yaml").data == {
        "a": {"x": 1, "y": [3], "z": {"deep": 9, "kept": 2}}, "b": 1, "c": None, "d": "word", "e": "new",
    }  # fmt: skip


def test_later_files_win_the_files_own_keys_win_over_them_and_overrides_over_all(tmp_path: Path) -> None:
    write(
        tmp_path,
        one="a: 1\nb: 1\nc: 1\nd: 1\n",
        two="a: 2\nb: 2\nc: 2\n",
        own="a: 3\nextends: [one.yaml, two.yaml]\nb: 3\n",
    )
    source = read_source(tmp_path / "own.yaml", ["a=4"])
    assert source.data == {"a": 4, "b": 3, "c": 2, "d": 1}
    places = {key: source.where((key,)).removeprefix(f"{tmp_path}/") for key in "abcd"}
    assert places == {"a": "-o a=4", "b": "own.yaml:3:1", "c": "two.yaml:3:1", "d": "one.yaml:4:1"}


def test_paths_start_at_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts" / "more").mkdir(parents=True)
    (tmp_path / "parts" / "more" / "low.yaml").write_text("a: 1\n")
    (tmp_path / "parts" / "mid.yaml").write_text("extends: more/low.yaml\nb: 2\n")
    monkeypatch.setenv("PARTS", str(tmp_path / "parts"))
    for written in ("parts/mid.yaml", "${PARTS}/mid.yaml", "./parts/../parts/mid.yaml"):
        assert parse_source(f"extends: {written}\n").data == {"a": 1, "b": 2}


def test_one_file_may_be_reached_twice(tmp_path: Path) -> None:
    write(
        tmp_path,
        low="a: 1\n",
        left="extends: low.yaml\n",
        right="extends: low.yaml\nb: 2\n",
        own="extends: [left.yaml, right.yaml]\n",
    )
    assert read_source(tmp_path / "own.yaml").data == {"a": 1, "b": 2}


def test_variables_and_overrides_apply_to_what_is_merged(tmp_path: Path) -> None:
    write(tmp_path, base="a: {x: '${NOT_SET_ANYWHERE}', y: [1, 2]}\n", own="extends: base.yaml\n")
    assert read_source(tmp_path / "own.yaml", ["a.x=7", "a.y.1=8"]).data == {"a": {"x": 7, "y": [1, 8]}}
    with pytest.raises(ConfigError, match=r"base\.yaml:1:5: a\.x: .*NOT_SET_ANYWHERE is not set"):
        read_source(tmp_path / "own.yaml")


@given(trees, trees)
def test_merging(base: dict[str, Any], over: dict[str, Any]) -> None:
    def text(tree: dict[str, Any]) -> str:
        return yaml.safe_dump(tree, sort_keys=False)

    def check(key: tuple[str, ...], value: Any, low: Any, high: Any) -> None:
        """Each value is the upper file's where that has one, and its place is in the file that it came from."""
        if isinstance(low, dict) and isinstance(high, dict):
            assert value.keys() == low.keys() | high.keys()
            for name in value:
                check((*key, name), value[name], low.get(name, Missing), high.get(name, Missing))
            return
        assert value == (low if high is Missing else high)
        if key:
            assert merged.where(key).startswith("low:" if high is Missing else "high:")
        if isinstance(value, list):
            for index in range(len(value)):
                assert merged.where((*key, index)).startswith("low:" if high is Missing else "high:")

    lower, upper = parse(text(base), "low"), parse(text(over), "high")
    before = copy.deepcopy((lower, upper))
    merged = merge(lower, upper)
    check((), merged.data, base, over)
    assert (lower, upper) == before
    assert merge(Source({}), upper).data == over


class Missing:
    """Stands for no value."""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nextends: gone.yaml\n", r"own\.yaml:2:1: extends: no such file: .*gone\.yaml \(relative paths start"),
        ("extends:\n  - base.yaml\n  - gone.yaml\n", r"own\.yaml:3:5: extends: no such file"),
        ("extends: five_stp\n", r"own\.yaml:1:1: extends: there is no preset 'five_stp' .*mean 'five_step'"),
        ("extends: [zzz]\n", r"own\.yaml:1:11: extends: there is no preset 'zzz' \(known: esteva2017, "),
        ("extends: 3\n", r"own\.yaml:1:1: extends: expected a path.*got 3"),
        ("extends:\n", r"own\.yaml:1:1: extends: expected a path.*got None"),
        ("extends: {a: b}\n", r"own\.yaml:1:1: extends: expected a path.*got \{'a': 'b'\}"),
        ("extends: [base.yaml, [base.yaml]]\n", r"own\.yaml:1:22: extends: expected a path"),
        ("extends: own.yaml\n", r"own\.yaml:1:1: extends: goes round in a circle: own\.yaml -> own\.yaml"),
        ("extends: round.yaml\n", r"round\.yaml:2:1: extends: .*: own\.yaml -> round\.yaml -> own\.yaml"),
        ("extends: ./\n", r"own\.yaml:1:1: extends: no such file"),
        ("extends: broken.yaml\n", r"broken\.yaml:2:1: is not valid YAML"),
        ("extends: list.yaml\n", r"list\.yaml: expected keys and values at the top"),
    ],
)
def test_faults_have_a_place(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, own=text, base="a: 1\n", round="a: 1\nextends: own.yaml\n", broken="a: [1\n", list="- extends\n")
    with pytest.raises(ConfigError, match=words):
        read_source(tmp_path / "own.yaml")


def test_a_wrong_key_is_told_where_it_was_written(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="backbone: {name: resnet18}\ntraining:\n  sede: 3\n  stages:\n    - {epochs: 0}\n",
        own="name: own\nextends: base.yaml\nheads:\n  a: {type: circle}\ntraining:\n  batch_size: 0\n",
    )
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "own.yaml")
    lines = sorted(line.removeprefix(f"{tmp_path}/").split(": ")[:2] for line in str(caught.value).splitlines())
    assert lines == [
        ["base.yaml:3:3", "training.sede"],
        ["base.yaml:5:8", "training.stages.0.epochs"],
        ["own.yaml:6:3", "training.batch_size"],
    ]


def test_a_missing_key_is_told_at_the_block_that_lacks_it(tmp_path: Path) -> None:
    write(tmp_path, base="backbone: {image_size: 64}\n", own="extends: [base.yaml, five_step]\nheads: {a: {x: 1}}\n")
    with pytest.raises(ConfigError, match=r"own\.yaml:2:9: heads\.a\.type: this key is required"):
        load_experiment(tmp_path / "own.yaml")
