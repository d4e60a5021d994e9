"""Sums of probabilities up a tree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.taxonomy.names import lineage
from dermtl.taxonomy.node_sums import level_sums, roll_up

CLASSES = ("A", "B::own", "B/b1", "B/b2", "B/b3/x", "B/b3/y")


def test_the_toy_tree():
    sums = roll_up(CLASSES)
    assert sums.names == ("root", "A", "B", "B::own", "B/b1", "B/b2", "B/b3", "B/b3/x", "B/b3/y")
    found = dict(zip(sums.names, np.array([0.3, 0.1, 0.2, 0.05, 0.15, 0.2]) @ sums.matrix, strict=True))
    assert found["root"] == pytest.approx(1)
    assert found["B"] == pytest.approx(0.7)
    assert found["B/b3"] == pytest.approx(0.35)
    assert found["B::own"] == pytest.approx(0.1)


@given(st.integers(0, 2**32 - 1))
def test_parents_are_sums_of_children(seed):
    sums = roll_up(CLASSES)
    probability = np.random.default_rng(seed).dirichlet(np.ones(len(CLASSES)))
    found = dict(zip(sums.names, probability @ sums.matrix, strict=True))
    for name in set(sums.names) - set(CLASSES):
        below = [other for other in sums.names if len(lineage(other)) > 1 and lineage(other)[-2] == name]
        assert found[name] == pytest.approx(sum(found[other] for other in below), abs=1e-12)
    assert found["root"] == pytest.approx(1)


def test_levels():
    assert level_sums(CLASSES, 1)[0] == ("A", "B")
    assert level_sums(CLASSES, 1)[1].tolist() == [0, 1, 1, 1, 1, 1]
    nodes, places = level_sums(
        CLASSES, 2
    )  # a leaf above the level stands for itself, what B itself carries for nothing
    assert nodes == ("A", "B/b1", "B/b2", "B/b3")
    assert places.tolist() == [0, -1, 1, 2, 3, 3]
