"""``dermtl taxonomy``: a tree shown and cut, with the counts of a table."""

import json

import pytest

TREE = "path,labels\nA/a1,\nA/a2,two\nB,\nB/b1,\nB/b2,\n"
TABLE = "image,label\n" + "".join(f"{i}.jpg,{label}\n" for i, label in enumerate(["a1"] * 5 + ["two"] * 2 + ["b1"] * 9))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "tree.csv").write_text(TREE)
    (tmp_path / "table.csv").write_text(TABLE)
    return tmp_path / "tree.csv", tmp_path / "table.csv"


def test_show(call, files):
    tree, table = files
    done = call("taxonomy", "show", tree)
    assert done.out.splitlines()[:4] == ["node    level  labels", "root    0", "  A     1", "    a1  2"]
    lines = call("taxonomy", "show", tree, "--manifest", table).out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["16", "7", "5", "2", "9", "9", "0"]


def test_partition(call, files, tmp_path):
    tree, table = files
    done = call("taxonomy", "partition", tree, "--manifest", table, "--max-class-size", 8, "--out", tmp_path / "p.json")
    assert done.code == 0
    assert done.out.endswith("2 classes of 16 records\n")
    document = json.loads((tmp_path / "p.json").read_text())
    assert [part["name"] for part in document["classes"]] == ["A", "B/b1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--column", "dx"], ["table.csv", "no column 'dx'", "image, label"]),
        (["--column", "image"], ["table.csv:2", "'0.jpg' is not in the taxonomy"]),
        (["--level", "3"], ["tree.csv", "levels 0 to 2"]),
        (["--min-class-size", "2000"], ["min_class_size"]),
    ],
)
def test_faults_are_one_line(call, files, arguments, words):
    tree, table = files
    done = call("taxonomy", "partition", tree, "--manifest", table, *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err
