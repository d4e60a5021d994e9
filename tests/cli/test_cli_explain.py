"""``dermtl explain`` on a tiny run."""

import sys

import pytest


def test_pictures(call, tiny_run, drawn, tmp_path):
    images = sorted((drawn / "images").iterdir())[:2]
    done = call("explain", tiny_run, *images, "--method", "input_gradient", "--method", "grad_cam", "--out", tmp_path)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == f"page: {tmp_path / 'explanation.html'}"
    assert (tmp_path / "case-02.picture.png").is_file()


@pytest.mark.slow
def test_a_split_with_every_method(call, tiny_run):
    done = call("explain", tiny_run, "--split", "train", "--cases", "2")
    assert done.code == 0, done.err
    assert "integrated gradients: rank correlation" in done.out
    assert (tiny_run / "explanation" / "train" / "map.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--head", "outline"], "no classes or tags"),
        (["--of", "scar"], "has no 'scar'"),
        (["--split", "tests"], "no record of split 'tests'"),
    ],
)
def test_faults_are_one_line(call, tiny_run, arguments, words):
    done = call("explain", tiny_run, *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert words in done.err


def test_a_missing_extra_says_how_to_get_it(call, tiny_run, drawn, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    image = next((drawn / "images").iterdir())
    done = call("explain", tiny_run, image, "--method", "integrated_gradients")
    assert done.code == 2
    assert "pip install 'dermtl[explain]'" in done.err
