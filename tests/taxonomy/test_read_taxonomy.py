"""Trees from files; a fault names its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.errors import ConfigError
from dermtl.taxonomy.read import read_taxonomy
from dermtl.taxonomy.tree import Taxonomy

YAML = """\
benign:
  melanocytic:
    labels: mole
    naevus: [nv, NV]
  keratosis: bkl
malignant:
  melanocytic:
    melanoma: mel
  carcinoma:
"""
CSV = """\
path,labels
benign/melanocytic,mole
benign/melanocytic/naevus,nv|NV
benign/keratosis,bkl
malignant/melanocytic/melanoma,mel
malignant/carcinoma,
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_yaml_and_csv_give_the_same_tree(tmp_path):
    tree = read_taxonomy(write(tmp_path, "t.yaml", YAML))
    assert tree == read_taxonomy(write(tmp_path, "t.csv", CSV))
    assert tree.nodes == (
        "root", "benign", "benign/melanocytic", "benign/melanocytic/naevus", "benign/keratosis", "malignant",
        "malignant/melanocytic", "malignant/melanocytic/melanoma", "malignant/carcinoma"
    )  # fmt: skip
    assert tree.depths == (0, 1, 2, 3, 2, 1, 2, 3, 2)
    assert [tree.nodes[node] for node in tree.subtree(5)] == [path for path in tree.nodes if path.startswith("mali")]
    assert Taxonomy.of(tree.rows) == tree


def test_cells_are_found_by_path_label_or_clear_name(tmp_path):
    tree = read_taxonomy(write(tmp_path, "t.yaml", YAML))
    found = {text: [tree.nodes[node] for node in tree.find(text)] for text in
             ("malignant/melanocytic", "NV", "mole", "melanoma", "melanocytic", "nothing", "root")}  # fmt: skip
    assert found == {
        "malignant/melanocytic": ["malignant/melanocytic"],
        "NV": ["benign/melanocytic/naevus"],
        "mole": ["benign/melanocytic"],
        "melanoma": ["malignant/melanocytic/melanoma"],
        "melanocytic": ["benign/melanocytic", "malignant/melanocytic"],
        "nothing": [],
        "root": [],
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.yaml", "a: {b: x, c: x}", ["t.yaml:1:", "'a/c'", "label 'x' means 'a/b'"]),
        ("t.yaml", "a: {b: c, c: }", ["label 'c' means 'a/c'"]),
        ("t.yaml", "a:\n  b:\n  b:\n", ["t.yaml:3:3", "stands twice"]),
        ("t.yaml", "a:\n  b/c: 1\n", ["t.yaml:2:3", "'b/c'"]),
        ("t.yaml", "root:\n  a:\n", ["t.yaml:1:1", "the root has no name"]),
        ("t.yaml", "a:\n  b: [{c: 1}]\n", ["t.yaml:2:3", "expected labels or nodes"]),
        ("t.yaml", "a::own:\n  b:\n", ["'::'"]),
        ("t.yaml", "a:\n  labels: {b: }\n  c:\n", ["t.yaml:1:1", "expected labels or nodes"]),
        ("t.yaml", "a:\n", ["two nodes or more"]),
        ("t.yaml", "- a\n", ["keys and values"]),
        ("t.csv", "path\na/b\na/b\n", ["t.csv:3", "already at", "t.csv:2"]),
        ("t.csv", "path\na//b\n", ["t.csv:2", "empty"]),
        ("t.csv", "path\na, b\n", ["t.csv:2", "expected 1 cells"]),
        ("t.csv", "node\na\n", ["path and labels"]),
        ("t.csv", 'path\n"a', ["not valid CSV"]),
        ("t.txt", "a", ["expected .yaml or .csv"]),
    ],
)  # fmt: skip
def test_faults_name_their_place(tmp_path, name, text, words):
    with pytest.raises(ConfigError) as caught:
        read_taxonomy(write(tmp_path, name, text))
    for word in words:
        assert word in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the taxonomy"):
        read_taxonomy(tmp_path / "none.yaml")


@given(st.dictionaries(st.lists(st.text(max_size=4), max_size=4).map("/".join), st.lists(st.text(max_size=3))))
def test_any_rows_make_a_tree_or_a_fault(rows):
    try:
        tree = Taxonomy.of(rows)
    except ValueError:
        return
    assert set(rows) <= set(tree.nodes)
    for node, path in enumerate(tree.nodes[1:], 1):
        assert tree.find(path) == (node,)
        assert node in tree.subtree(tree.parents[node])
