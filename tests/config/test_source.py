import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dermtl.config.source import parse_source, read_source, read_stored
from dermtl.errors import ConfigError

names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="$"), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
PIECES = [
    "a",
    "b: 1",
    "- c",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "&x ",
    "*x",
    "!!int",
    "<<: *x",
    "\n",
    "  ",
    "'",
    '"',
    "${A}",
    "|",
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1e3", 1000.0), ("-.5", -0.5), ("5.", 5.0), ("+3", 3), ("007", 7), ("0", 0),
        (".inf", math.inf), ("-.INF", -math.inf),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("12:30", "12:30"), ("0x1F", "0x1F"), ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"), ("'1'", "1"), ('"true"', "true"), ("e3", "e3"), (".", "."), ("-", [None]),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_source(f"key: {text}" if text != "-" else "key:\n  -").data["key"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(parse_source("key: .NaN").data["key"])


@given(st.dictionaries(names, plain, max_size=4))
def test_what_yaml_writes_is_read(data: dict[str, Any]) -> None:
    assert parse_source(yaml.safe_dump(data, allow_unicode=True, sort_keys=False)).data == data


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        source = parse_source(text, name="x.yaml")
    except ConfigError as error:
        assert "x.yaml" in str(error)  # noqa: PT017
    else:
        assert isinstance(source.data, dict)


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_broken_yaml_is_refused_with_its_place(parts: list[str]) -> None:
    try:
        parse_source("".join(parts), name="x.yaml")
    except ConfigError as error:
        assert "x.yaml" in str(error)  # noqa: PT017


@pytest.mark.parametrize("text", ["!!int b: 1", "a: !!int b", "!!bool b: 1", "a: !!bool b"])
def test_a_tag_that_does_not_fit_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:1:"):
        parse_source(text, name="x.yaml")


def test_positions_of_keys_and_items() -> None:
    source = parse_source("a: 1\nb:\n  c: [x, y]\n  d:\n    - e: 2\n", name="f.yaml")
    assert source.where(("a",)) == "f.yaml:1:1"
    assert source.where(("b", "c")) == "f.yaml:3:3"
    assert source.where(("b", "c", 1)) == "f.yaml:3:10"
    assert source.where(("b", "d", 0, "e")) == "f.yaml:5:7"
    assert source.where(("b", "missing", "deeper")) == "f.yaml:2:1"
    source = parse_source("a: 1\n", name="f.yaml", overrides=["b.c=2"])
    assert source.where(("b",)) == source.where(("b", "c")) == "-o b.c=2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [1\n", r"f\.yaml:3:1: is not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", r"f\.yaml:3:1: a: this key stands twice"),
        ("x:\n  a: 1\n  a: 2\n", r"f\.yaml:3:3: x\.a: this key stands twice"),
        ("- a\n", r"expected keys and values at the top, got list"),
        ("word", r"got str"),
        ("a: *nowhere\n", r"f\.yaml:1:4"),
        ("a: 1\n---\nb: 2\n", r"f\.yaml:2:1"),
        ("a: !!python/name:os.getcwd x\n", r"f\.yaml:1:4"),
        ("a: !!int x\n", r"f\.yaml:1:1: a: invalid literal"),
        ("a: &x [*x]\n", r"f\.yaml: nests too deeply"),
        ("a: \x07", r"f\.yaml"),
    ],
)
def test_faults_have_a_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_source(text, name="f.yaml")


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert parse_source("").data == {}
    assert parse_source("# only a comment\n").data == {}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot read.*No such file"):
        read_source(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_source(tmp_path / "b.yaml")


def test_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_ROOT", "/data")
    monkeypatch.delenv("NOT_SET", raising=False)
    source = parse_source("a: ${DATA_ROOT}/x\nb: '${NOT_SET:-y}z${NOT_SET:-}'\nc: [$HOME, '${}']\n")
    assert source.data == {"a": "/data/x", "b": "yz", "c": ["$HOME", "${}"]}
    with pytest.raises(ConfigError, match=r"f\.yaml:2:3: a\.b: the environment variable NOT_SET is not set.*-o a\.b="):
        parse_source("a:\n  b: ${NOT_SET}\n", name="f.yaml")


def overridden(tmp_path: Path, *overrides: str) -> dict[str, Any]:
    path = tmp_path / "f.yaml"
    path.write_text("a: 1\nb: {c: 2, d: [x, {e: 3}]}\n")
    return read_source(path, overrides).data


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a=1e-3", {"a": 0.001}),
        ("a=", {"a": None}),
        ("a=x=y", {"a": "x=y"}),
        ("a=[1, two]", {"a": [1, "two"]}),
        ("a={k: v}", {"a": {"k": "v"}}),
        ("a=12:30", {"a": "12:30"}),
        ("b.c=no", {"b": {"c": "no", "d": ["x", {"e": 3}]}}),
        ("b.d.0=z", {"b": {"c": 2, "d": ["z", {"e": 3}]}}),
        ("b.d.1.e=4", {"b": {"c": 2, "d": ["x", {"e": 4}]}}),
        ("new.deep.key=5", {"new": {"deep": {"key": 5}}}),
        ("a.b=6", {"a": {"b": 6}}),
    ],
)
def test_overrides(tmp_path: Path, override: str, expected: dict[str, Any]) -> None:
    data = overridden(tmp_path, override)
    assert data == {"a": 1, "b": {"c": 2, "d": ["x", {"e": 3}]}} | expected


def test_later_overrides_win_and_are_named_as_the_place(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("b:\n  c: 2\n  d: 3\n")
    source = read_source(path, ["b.c=4", "b.c=5"])
    assert source.data["b"]["c"] == 5
    assert source.where(("b", "c")) == "-o b.c=5"
    assert source.where(("b", "d")) == f"{path}:3:3"


@pytest.mark.parametrize("written", ["{'1': 2}", "{1: 2}"], ids=["text", "number"])
def test_an_override_of_a_key_in_digits_is_named_as_the_place(written: str) -> None:
    override = "heads.a.class_weights.1=-3"
    source = parse_source(f"heads: {{a: {{class_weights: {written}, steps: [4, 5]}}}}", overrides=[override])
    assert source.data["heads"]["a"]["class_weights"] == {"1": -3}
    assert source.where(("heads", "a", "class_weights", "1")) == f"-o {override}"
    source = parse_source("heads: {a: {steps: [4, 5]}}", overrides=["heads.a.steps.1=6"])
    assert source.where(("heads", "a", "steps", 1)) == "-o heads.a.steps.1=6"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("a", "expected key=value, got 'a'"),
        ("=1", "expected key=value"),
        ("b.d.7=1", r"b\.d\.7: expected an index below 2, got 7"),
        ("b.d.x=1", r"expected an index below 2, got 'x'"),
        ("b.d.0.x=1", r"b\.d\.0 has no keys of its own"),
        ("a=[1", r"-o a=\[1.*is not valid YAML"),
    ],
)
def test_overrides_that_do_not_fit(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        overridden(tmp_path, override)


def bomb(levels: int) -> str:
    """Aliases of aliases: each level holds nine times as many values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(lines)


def test_aliases_are_written_out_and_a_bomb_is_refused() -> None:
    assert parse_source("a: &one [1, 2]\nb: *one").data == {"a": [1, 2], "b": [1, 2]}
    assert parse_source(bomb(3)).data == yaml.safe_load(bomb(3))
    with pytest.raises(ConfigError, match="more than 50,000 keys"):
        parse_source(bomb(9))  # PyYAML builds it in a millisecond, for it shares what aliases name


def test_a_stored_file_takes_nothing_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1234")
    (tmp_path / "other.yaml").write_text("b: 2\n")
    path = tmp_path / "config.yaml"
    path.write_text("name: ${SECRET}\nextends: other.yaml\n")
    assert read_stored(path).data == {"name": "${SECRET}", "extends": "other.yaml"}
    assert read_source(path).data == {"name": "1234", "b": 2}
