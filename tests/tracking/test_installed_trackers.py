"""Which trackers an experiment gets, and what is said of those that it cannot have."""

import sys

import pytest

from dermtl.config.source import parse_source
from dermtl.errors import ConfigError
from dermtl.plugins.discovery import list_plugins
from dermtl.plugins.installed import entry_points_of
from dermtl.tracking.installed import describe_tracker, make_trackers

GOOD = """
class Good:
    def begin(self, run, name, settings): ...
    def epoch(self, row): ...
    def end(self, state): ...
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with one tracker on the path."""

    def put(name, text, *, extra=False):
        module = f"trk_{name}"
        info = tmp_path / name / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        provides = f"Provides-Extra: {name}\n" if extra else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-trackers\nVersion: 1.0\n{provides}")
        (info / "entry_points.txt").write_text(f"[dermtl.trackers]\n{name} = {module}:Good\n")
        (tmp_path / name / f"{module}.py").write_text(text)
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(tmp_path / name)

    return put


def make(*names):
    listed = "".join(f"\n    - {name}" for name in names)
    source = parse_source(f"training:\n  trackers:{listed}\n", name="c.yaml")
    return make_trackers(names, source)


def test_the_built_in_ones_are_found_and_not_imported():
    assert {"tensorboard", "mlflow"} <= entry_points_of("dermtl.trackers").keys()


def test_only_the_named_one_is_imported(install):
    install("good", GOOD)
    install("bad", "raise RuntimeError('imported')")
    assert list(make("good")) == ["good"]
    assert list(make("good-trackers:good")) == ["good-trackers:good"]
    assert "trk_bad" not in sys.modules


def test_a_missing_one_is_answered_with_the_line_and_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        make("tensorbord")
    assert str(caught.value).startswith("c.yaml:3:")
    assert "training.trackers.0: no tracker named 'tensorbord'" in str(caught.value)
    assert "did you mean 'tensorboard'?" in str(caught.value)
    with pytest.raises(ConfigError, match="pip install the distribution"):
        make("zzz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('torn\\napart')", "cannot be made: ValueError: torn apart"),
        ("import sys; sys.exit(3)", "cannot be made: SystemExit: 3"),
        ("Good = 3", "expected a class or a function, got int"),
        ("class Good:\n    def __init__(self): raise OSError('no disk')", "cannot be made: OSError: no disk"),
        ("class Good:\n    def begin(self): ...", "is a Good without epoch, end"),
    ],
)
def test_a_broken_one_is_explained_in_one_line(install, text, words):
    install("odd", text)
    with pytest.raises(ConfigError, match=words) as caught:
        make("odd")
    assert "tracker 'odd' of odd-trackers" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "line"), [(True, r"pip install 'odd-trackers\[odd\]'"), (False, "pip install no_such")]
)
def test_a_lacking_package_comes_with_the_line_that_installs_it(install, extra, line):
    install("odd", "class Good:\n    def __init__(self): import no_such.part", extra=extra)
    with pytest.raises(ConfigError, match=rf"needs no_such.*\({line}\)"):
        make("odd")


def test_the_list_tells_all_and_raises_nothing(install):
    install("odd", "raise ValueError('torn')")
    install("good", GOOD.replace("class Good:", "class Good:\n    'Writes letters.'"))
    told = {
        listing.name: (listing.group, listing.state, listing.reason)
        for listing in list_plugins("dermtl.trackers", describe_tracker)
    }
    assert told["odd"] == ("dermtl.trackers", "broken", "cannot be made: ValueError: torn")
    assert told["good"] == ("dermtl.trackers", "ok", "Writes letters.")
    assert {told["tensorboard"][1], told["mlflow"][1]} == {"ok"}


def test_the_extras_of_the_built_in_ones_are_named_alike(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)  # as if it were not installed
    with pytest.raises(ConfigError, match=r"pip install 'dermtl\[tensorboard\]'"):
        make("tensorboard")
