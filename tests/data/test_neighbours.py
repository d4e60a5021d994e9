"""Neighbours in features: every near pair and no other, exactly or through an index."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.data.duplicates.near_duplicates import Copy, add_neighbours
from dermtl.data.duplicates.neighbours import near_pairs


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(2, 1500), st.floats(0.2, 0.95))
def test_near_pairs_are_those_of_the_definition(seed: int, num: int, least: float) -> None:
    features = np.random.default_rng(seed).normal(size=(num, 6)) + 3
    centred = features - features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = np.triu(unit @ unit.T, k=1)
    clear = np.abs(cosines - least) > 1e-5
    wanted = {(int(i), int(j)) for i, j in np.argwhere((cosines >= least) & clear & np.triu(np.ones_like(clear), 1))}
    found = {(i, j): cosine for i, j, cosine in near_pairs(features, least=least)}
    assert wanted <= found.keys()
    assert all(not clear[pair] or pair in wanted for pair in found)
    assert all(abs(cosine - cosines[pair]) < 1e-5 for pair, cosine in found.items())


def test_the_index_finds_planted_pairs() -> None:
    if importlib.util.find_spec("usearch") is None:
        pytest.skip("needs the extra neighbours")
    generator = np.random.default_rng(0)
    features = generator.normal(size=(600, 32))
    features[300:350] = features[:50] + generator.normal(scale=0.05, size=(50, 32))
    exact = {(i, j) for i, j, _ in near_pairs(features, least=0.9)}
    found = {(i, j) for i, j, _ in near_pairs(features, least=0.9, exact=100)}
    assert {(i, i + 300) for i in range(50)} <= exact
    assert len(found & exact) >= 0.95 * len(exact)
    assert found <= exact


def test_neighbours_are_never_joined_and_copies_come_first() -> None:
    features = np.array([[1.0, 0], [1, 0.01], [-1, 0], [-1, 0.3]])
    found = add_neighbours([Copy(0, 1, 0.95, "copy")], features)
    assert [(copy.one, copy.other, copy.reason, copy.is_sure) for copy in found] == [
        (0, 1, "copy", True),
        (2, 3, "features", False),
    ]


def test_nothing_is_near_in_one_picture() -> None:
    assert near_pairs(np.ones((1, 4))) == []


def test_pictures_can_be_resized_after_a_search():
    """In a process of its own: the index must not break the runtime that resizes, whichever is needed first."""
    code = """
import numpy as np
from dermtl.data.duplicates.neighbours import near_pairs
near_pairs(np.random.default_rng(0).normal(size=(40, 8)), exact=10)
from dermtl.imaging.resize import resize
print(resize(np.zeros((1, 8, 8, 3), np.uint8), 4).shape)
"""
    if importlib.util.find_spec("usearch") is None:  # not imported here: the order of imports is what is tried
        pytest.skip("needs the extra neighbours")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "(1, 4, 4, 3)\n"), done.stderr


@pytest.mark.slow
def test_real_features_find_pictures_of_one_lesion(shared: Path, tmp_path: Path) -> None:
    """Of the pairs listed on a real set without its ids, most are of one lesion."""
    from click.testing import CliRunner

    from dermtl.cli.split import split
    from dermtl.files.table import read_table

    weights = shared / "weights" / "mobilenetv2_100.in1k.safetensors"
    table = shared / "data" / "busi" / "labels.csv"
    if not weights.is_file() or not table.is_file():
        pytest.skip("needs the real pictures and weights in ../shared")
    arguments = [str(table), "--out", str(tmp_path), "--no-copies", "--features", "mobilenetv2_100"]
    done = CliRunner().invoke(split, [*arguments, "--weights", str(weights)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    groups = {row["image"]: row["group"] for _, row in read_table(table)}
    pairs = [(row["image_a"], row["image_b"]) for _, row in read_table(tmp_path / "leakage_pairs.csv")]
    assert len(pairs) >= 50
    assert sum(groups[a] == groups[b] for a, b in pairs) >= 0.9 * len(pairs)
