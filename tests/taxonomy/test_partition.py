"""The cut of a tree into training classes: no picture lost, no class too large, no level straddled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.taxonomy.names import at_level, lineage
from dermtl.taxonomy.partition import disease_partition
from dermtl.taxonomy.tree import Taxonomy

TOY = {
    "A/a1": 600, "A/a2": 300, "B": 30, "B/b1": 1200, "B/b2": 100, "B/b3/x": 400, "B/b3/y": 700
}  # fmt: skip


def cut(images, **keys):
    """The classes of a tree that is given as path to pictures, as name to pictures."""
    tree = Taxonomy.of(dict.fromkeys(images, ()))
    partition = disease_partition(tree, [images.get(path, 0) for path in tree.nodes], **keys)
    return tree, partition


def test_the_toy_tree():
    """science.md 8.11."""
    _, partition = cut(TOY)
    found = {part.name: part.num_images for part in partition.classes}
    assert found == {"A": 900, "B::own": 30, "B/b1": 1200, "B/b2": 100, "B/b3/x": 400, "B/b3/y": 700}
    document = partition.to_json()
    assert document["num_images"] == 3330
    assert document["classes"][0] == {"name": "A", "num_images": 900, "nodes": ["A", "A/a1", "A/a2"]}


def test_the_algorithm_as_printed_loses_pictures():
    """What the cut of a too large leaf and of a node's own pictures is for."""
    tree, _ = cut(TOY)
    counts = [TOY.get(path, 0) for path in tree.nodes]

    def covered(node):
        size = sum(counts[member] for member in tree.subtree(node))
        return size if size < 1000 else sum(covered(child) for child in tree.children[node])

    assert covered(0) == 2100


def test_a_larger_cap_gives_fewer_classes_but_never_across_the_level():
    assert [part.name for part in cut(TOY, max_class_size=10_000)[1].classes] == ["A", "B"]
    assert [part.name for part in cut(TOY, max_class_size=10_000, level=0)[1].classes] == ["root"]
    names = [part.name for part in cut(TOY, max_class_size=10_000, level=2)[1].classes]
    assert names == ["A/a1", "A/a2", "B::own", "B/b1", "B/b2", "B/b3"]


def test_small_siblings_share_a_class():
    images = {"A/a": 50, "A/b": 3, "A/c": 2, "A": 1, "A/d": 0, "B/e": 3, "B/f": 60}
    names = {part.name: part.nodes for part in cut(images, max_class_size=40, min_class_size=5)[1].classes}
    assert names == {"A/a": ("A/a",), "A::rest": ("A", "A/b", "A/c", "A/d"), "B/f": ("B/f",), "B/e": ("B/e",)}
    names = [part.name for part in cut(images, max_class_size=5, min_class_size=5)[1].classes]
    assert names == ["A/a", "A::rest", "A::rest2", "B/f", "B/e"]


def test_small_siblings_at_a_level_stay_apart():
    images = {"A/a": 50, "A/b": 3, "A/c": 2}
    assert [part.name for part in cut(images, min_class_size=5, level=2)[1].classes] == ["A/a", "A/b", "A/c"]


def test_a_node_that_carries_all_pictures_itself_stays_whole():
    images = {"A/a": 50, "A/a/x": 0, "A/a/y": 0, "A/b": 40, "A/b/z": 1}
    names = [part.name for part in cut(images, max_class_size=40)[1].classes]
    assert names == ["A/a", "A/b::own", "A/b/z"]
    names = [part.name for part in cut(images, max_class_size=40, level=3)[1].classes]
    assert names == ["A/a::own", "A/b::own", "A/b/z"]  # it is above the level, so not whole there


def test_what_has_no_pictures_is_no_class():
    _, partition = cut({"A/a": 20, "A/b": 0, "B": 0, "C": 4}, max_class_size=10)
    assert [part.name for part in partition.classes] == ["A/a", "C"]


@pytest.mark.parametrize(
    "keys", [{"max_class_size": 0}, {"min_class_size": -1}, {"min_class_size": 20, "max_class_size": 10}, {"level": 4}]
)
def test_sizes_that_do_not_fit(keys):
    with pytest.raises(ValueError, match=r"expected 0|levels 0 to 3"):
        cut(TOY, **keys)


PATHS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map("/".join)


@given(
    st.dictionaries(PATHS, st.integers(0, 40), min_size=2, max_size=25),
    st.integers(1, 60),
    st.integers(0, 20),
    st.integers(0, 3),
)
def test_every_picture_is_in_one_class(images, cap, floor, level):
    tree = Taxonomy.of(dict.fromkeys([*images, "e/f"], ()))
    level, floor = min(level, max(tree.depths)), min(floor, cap)
    counts = [images.get(path, 0) for path in tree.nodes]
    classes = disease_partition(tree, counts, max_class_size=cap, min_class_size=floor, level=level).classes
    members = [node for part in classes for node in part.nodes]
    assert len(members) == len(set(members))
    assert {path for path, number in images.items() if number} <= set(members)
    assert sum(part.num_images for part in classes) == sum(counts)
    assert len({part.name for part in classes}) == len(classes)
    for part in classes:
        assert part.num_images == sum(images.get(node, 0) for node in part.nodes) > 0
        assert part.num_images < cap or sum(images.get(node, 0) > 0 for node in part.nodes) == 1
        for depth in range(1, level + 1):  # every node of a class has the class's own node at each level
            place = at_level(part.name, depth)
            assert {
                at_level(node, depth) if len(lineage(node)) > depth else leaf(tree, node) for node in part.nodes
            } == {place}


def leaf(tree, path):
    """A node above a level stands for itself there if it is a leaf."""
    return None if tree.children[tree.nodes.index(path)] else path
