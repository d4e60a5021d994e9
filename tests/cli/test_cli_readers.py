"""``dermtl readers``. The readers here are made up; no clinician decided anything."""

import json

import numpy as np
import pytest


@pytest.fixture
def tables(tmp_path):
    predictions = tmp_path / "predictions.csv"
    header = (
        "image,group,d.probability.a/x,d.probability.b,d.node_probability.a,d.truth.class,t.probability.b,t.truth.b\n"
    )
    rows = [f"{i}.jpg,g{i},{p},{1 - p},{p},{'a/x' if p > 0.45 else 'b'},{p},{int(p > 0.3)}\n" for i, p in
            enumerate(np.linspace(0, 1, 8).round(3))]  # fmt: skip
    predictions.write_text(header + "".join(rows))
    readers = tmp_path / "readers.csv"
    rows = [f"{r},{i}.jpg,{int(i + shift > 4)}\n" for r, shift in (("ann", 0), ("bob", 2)) for i in range(8)]
    readers.write_text("reader,image,decision\n" + "".join(rows))
    return predictions, readers


def test_the_command(call, tables, tmp_path):
    done = call("readers", *tables, "--positive", "a", "--resamples", 50, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "of 2 readers lie below the curve" in done.out
    found = json.loads((tmp_path / "out" / "readers.json").read_text())
    assert found["positive"] == ["a"]
    assert found["data"] == {"images": 8, "positive": 4, "groups": 8, "everybody_read_all": True}
    assert found["model"]["auroc"]["value"] == 1
    drawn = (tmp_path / "out" / "readers.svg").read_bytes()
    assert b"sensitivity" in drawn
    call("readers", *tables, "--positive", "a", "--resamples", 50, "--out", tmp_path / "again")
    assert (tmp_path / "again" / "readers.svg").read_bytes() == drawn


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ann,0.jpg,0", "ann,0.jpg,yes", ["readers.csv:2", "'yes'"]),
        ("ann,0.jpg,0", "ann,9.jpg,0", ["readers.csv:2", "'9.jpg' was not predicted"]),
        ("ann,0.jpg,0", "ann,1.jpg,0", ["readers.csv:3", "'1.jpg' twice"]),
        ("reader,image", "who,image", ["no column 'reader'"]),
    ],
)
def test_faults_in_the_readers_table(call, tables, old, new, words):
    predictions, readers = tables
    readers.write_text(readers.read_text().replace(old, new, 1))
    done = call("readers", predictions, readers, "--positive", "a")
    assert (done.code, done.err.count("\n")) == (2, 1)
    for word in words:
        assert word in done.err
