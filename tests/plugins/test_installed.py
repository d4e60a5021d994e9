"""``DERMTL_PLUGINS`` picks some of what is installed; the core's own stays."""

import pytest

from dermtl.errors import PluginNotFound
from dermtl.plugins.discovery import load_head
from dermtl.plugins.installed import entry_points_of


@pytest.mark.parametrize(
    ("value", "heads"),
    [
        ("none", set()),
        ("circle", {"circle"}),
        (" circle , dermtl-classification:tags", {"circle", "tags"}),
        ("dermtl-classification:circle", set()),
        ("", {"circle", "classification", "number", "segmentation", "tags"}),
    ],
)
def test_the_variable_leaves_what_it_lists(monkeypatch, value, heads):
    monkeypatch.setenv("DERMTL_PLUGINS", value)
    assert set(entry_points_of("dermtl.heads")) == heads


def test_the_cores_own_importers_stay(monkeypatch):
    monkeypatch.setenv("DERMTL_PLUGINS", "none")
    assert "class_folders" in entry_points_of("dermtl.importers")


def test_a_head_left_out_is_not_found_and_the_variable_is_named(monkeypatch):
    monkeypatch.setenv("DERMTL_PLUGINS", "circle")
    assert load_head("circle")[0].name == "circle"
    with pytest.raises(PluginNotFound, match=r"no head named 'tags'; installed: circle .*DERMTL_PLUGINS"):
        load_head("tags")
