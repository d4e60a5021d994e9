"""What is installed, what of it works, and what is said of the rest."""

import shutil
import sys

import pytest

from dermtl.api import HeadSpec
from dermtl.errors import PluginConflict, PluginContract, PluginNotFound
from dermtl.plugins.discovery import describe_head, list_plugins, load_head, resolve

BUILT_IN = {"classification", "tags", "circle", "number", "segmentation"}


def list_heads():
    return list_plugins("dermtl.heads", describe_head)


def states():
    return {(listing.name, listing.distribution): listing for listing in list_heads()}


def test_a_head_is_found_by_name_and_by_distribution(install, spec_text):
    install("clinic-heads", {"depth": "ok_depth:spec"}, {"ok_depth": spec_text("depth")})
    spec, point = load_head("depth")
    assert (spec.name, point.dist.name, point.dist.version) == ("depth", "clinic-heads", "1.0")
    assert load_head("clinic-heads:depth")[0] == spec
    with pytest.raises(PluginNotFound, match="no head named 'other-heads:depth'"):
        load_head("other-heads:depth")


def test_an_absent_head_names_the_nearest():
    with pytest.raises(PluginNotFound, match=r"no head named 'clasification'.*did you mean 'classification'"):
        load_head("clasification")
    with pytest.raises(PluginNotFound, match=r"installed: .*circle.*pip install"):
        load_head("zzz")


def test_looking_for_one_head_imports_no_other(install, spec_text):
    install("good", {"good": "ok_good:spec"}, {"ok_good": spec_text("good")})
    install("bad", {"bad": "brk_imported:spec"}, {"brk_imported": "raise RuntimeError('imported')"})
    load_head("good")
    assert "ok_good" in sys.modules
    assert "brk_imported" not in sys.modules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('torn\\napart')", "plugin 'odd' of odd-heads 1.0: fails to import: ValueError: torn apart$"),
        ("import sys; sys.exit(0)", "fails to import: SystemExit: 0"),
        ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("", "AttributeError: module 'odd_module' has no attribute 'spec'"),
        ("def spec(: pass", "SyntaxError"),
        ("spec = 3", "expected a HeadSpec, got int"),
    ],
)
def test_a_broken_plugin_is_explained_in_one_line(install, text, words):
    install("odd-heads", {"odd": "odd_module:spec"}, {"odd_module": text})
    with pytest.raises(PluginContract, match=words) as caught:
        load_head("odd")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("api", [(2, 3), (2, 1), (2, 0), (1, 4), (1, 0)])
def test_served_majors_and_older_minors_work(install, spec_text, monkeypatch, api):
    monkeypatch.setattr("dermtl.plugins.discovery.SERVED", ((1, 4), (2, 3)))
    install("odd-heads", {"odd": "odd_module:spec"}, {"odd_module": spec_text("odd", api=api)})
    assert load_head("odd")[0].api == api
    listed = states()["odd", "odd-heads"]
    assert (listed.state, listed.api) == ("ok", f"{api[0]}.{api[1]}")


@pytest.mark.parametrize(
    ("api", "next_step"),
    [
        ((2, 4), "pip install --upgrade dermtl, or install an older odd-heads"),  # a newer minor
        ((3, 0), "pip install --upgrade dermtl, or install an older odd-heads"),  # a newer major
        ((0, 9), "pip install --upgrade odd-heads, or install an older dermtl"),  # an older major
        ((1, 5), "pip install --upgrade odd-heads, or install an older dermtl"),  # that never was
    ],
)
def test_another_api_is_listed_with_the_next_step_and_refused(install, spec_text, monkeypatch, api, next_step):
    monkeypatch.setattr("dermtl.plugins.discovery.SERVED", ((1, 4), (2, 3)))
    install("odd-heads", {"odd": "odd_module:spec"}, {"odd_module": spec_text("odd", api=api)})
    reason = f"needs plugin API {api[0]}.{api[1]}, this dermtl has 1.4 and 2.3"
    with pytest.raises(PluginContract, match=reason) as caught:
        load_head("odd")
    assert caught.value.hint == next_step
    listed = states()["odd", "odd-heads"]
    assert (listed.state, listed.api) == ("incompatible", f"{api[0]}.{api[1]}")
    assert listed.reason == f"{reason} ({next_step})"


def test_a_head_of_api_1_hears_what_became_of_the_loss(install, spec_text):
    install("odd-heads", {"odd": "odd_module:spec"}, {"odd_module": spec_text("odd", api=(1, 0))})
    with pytest.raises(PluginContract, match=r"needs plugin API 1\.0") as caught:
        load_head("odd")
    assert "Head.loss now gives what each row adds" in caught.value.hint


def test_a_spec_says_its_api():
    """Were it the installed one by default, no head would ever be refused."""
    with pytest.raises(TypeError, match="api"):
        HeadSpec("odd", summary="a test's head", config="no:Config", head="no:Head", metrics="no:Metrics")


@pytest.mark.parametrize("api", [1, "1.0", (1,), ("1", "0"), None])
def test_an_api_that_is_no_version_is_a_broken_plugin(install, spec_text, api):
    install("odd-heads", {"odd": "odd_module:spec"}, {"odd_module": spec_text("odd", api=api)})
    with pytest.raises(PluginContract, match=r"expected api as \(major, minor\)"):
        load_head("odd")
    assert states()["odd", "odd-heads"].state == "broken"


def test_a_spec_of_another_name_is_refused(install, spec_text):
    """A run stores the spec's name, and finds the plugin again by it."""
    install("odd-heads", {"odd": "odd_module:spec"}, {"odd_module": spec_text("even")})
    with pytest.raises(PluginContract, match="its HeadSpec is named 'even'"):
        load_head("odd")


def test_two_distributions_of_one_name_conflict_until_one_is_named(install, spec_text):
    install("one-heads", {"depth": "ok_one:spec"}, {"ok_one": spec_text("depth", summary="one")})
    install("two-heads", {"depth": "ok_two:spec"}, {"ok_two": spec_text("depth", summary="two")})
    with pytest.raises(PluginConflict, match=r"one-heads 1\.0 and two-heads 1\.0.*write one-heads:depth"):
        load_head("depth")
    assert load_head("two-heads:depth")[0].summary == "two"
    listed = states()
    assert {listed["depth", owner].state for owner in ("one-heads", "two-heads")} == {"conflict"}
    assert "two-heads; write one-heads:depth" in listed["depth", "one-heads"].reason


def test_a_second_copy_of_a_distribution_is_no_conflict(install, spec_text, tmp_path, monkeypatch):
    """As with an editable install beside its folder in the working directory; the first on the path counts."""
    folder = install("one-heads", {"depth": "ok_one:spec"}, {"ok_one": spec_text("depth")})
    folder.rename(tmp_path / "behind")
    install("one-heads", {"depth": "ok_first:spec"}, {"ok_first": spec_text("depth", summary="first")})
    monkeypatch.syspath_prepend(tmp_path / "behind")
    monkeypatch.syspath_prepend(tmp_path / "one-heads")
    assert load_head("depth")[0].summary == "first"


def test_listing_tells_all_and_raises_nothing(five_broken):
    listed = {name: listing for (name, _), listing in states().items()}
    assert {name: listed[name].state for name in five_broken} == {
        "raises": "broken",
        "exits": "broken",
        "absent": "broken",
        "future": "incompatible",
        "stranger": "broken",
    }
    assert {listed[name].state for name in BUILT_IN} == {"ok"}
    assert all(listing.reason and "\n" not in listing.reason for listing in listed.values())


def test_a_listing_names_its_group():
    assert {listing.group for listing in list_heads()} == {"dermtl.heads"}


def test_malformed_entry_points_of_one_distribution_hide_no_other(install, caplog):
    install("malformed", {"a line without an equals sign": ""}, {})
    assert {listing.name for listing in list_heads()} >= BUILT_IN
    assert "the entry points of distribution malformed cannot be read" in caplog.text


def test_distributions_without_metadata_are_listed(install, tmp_path, monkeypatch):
    install("half-removed", {"half": "brk_half:spec"}, {}, metadata=False)
    install("also-removed", {"other": "brk_other:spec"}, {}, metadata=False)
    listed = states()
    for name in ("half", "other"):
        assert (listed[name, "unknown"].version, listed[name, "unknown"].state) == ("?", "broken")
    assert {listing.name for listing in list_heads()} >= BUILT_IN
    monkeypatch.syspath_prepend(shutil.copytree(tmp_path / "half-removed", tmp_path / "copy"))
    assert states()["half", "unknown"].state == "broken"
    assert [listing.name for listing in list_heads()].count("half") == 1


@pytest.mark.parametrize("dotted", ["no_such:X", "json:no_such", "json", "", ":"])
def test_resolving_fails_with_the_place(dotted):
    with pytest.raises(PluginContract, match="head 'extent': cannot import"):
        resolve(dotted, "head 'extent'")
