"""The picture of a run: complete, the same for the same rows, and never half written."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="needs the extra train")
from dermtl.errors import DataError
from dermtl.tracking.curves import curves_svg, draw_curves


def texts(svg):
    return [text for element in ElementTree.fromstring(svg).iter() if (text := (element.text or "").strip())]


def test_both_files_are_there_and_the_same_again(tmp_path, told):
    rows = [told(epoch) for epoch in (1, 2, 3, 4)]
    draw_curves(rows, tmp_path / "a")
    import matplotlib as mpl

    with mpl.rc_context({"lines.linewidth": 9, "font.size": 20, "savefig.dpi": 30}):  # somebody's own settings
        draw_curves(rows, tmp_path / "b")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["curves.png", "curves.svg"]
    for name in ("curves.svg", "curves.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert np.asarray(Image.open(tmp_path / "a" / "curves.png")).std() > 5


def test_losses_metrics_rates_and_stages_are_shown(told):
    shown = texts(curves_svg([told(epoch, **{"val.diagnosis.error_px": 30.0}) for epoch in (1, 2, 3, 4)]))
    for words in ("loss", "training", "validation", "diagnosis", "accuracy", "learning rate", "error_px"):
        assert words in shown
    assert "diagnosis, not within 0..1" in shown
    assert "cross_entropy" not in shown


def test_of_many_classes_the_metrics_of_the_whole_head_are_shown(told):
    many = {f"val.diagnosis.sensitivity.c{index}": 0.5 for index in range(300)}
    shown = texts(curves_svg([many | told(1), many | told(2)]))
    assert "balanced_accuracy" in shown
    assert "diagnosis (10 of 303)" in shown


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"epoch": 1, "stage": 1, "lr": 0.0, "train.loss": 1.0}],
        [{"epoch": 1, "stage": 1, "lr": float("nan"), "train.loss": float("inf"), "val.a.b": float("nan")}] * 2,
        [{"epoch": 1}, {"epoch": 2, "stage": 2, "val.a.b": -1e300}],
        [{"epoch": 1, "val.<&a.$x_b": 0.5, "val.<&a.$\\frac{$": 0.1}],
    ],
)
def test_odd_rows_are_drawn_all_the_same(rows):
    assert texts(curves_svg(rows))


def test_what_cannot_be_written_leaves_the_old_files(tmp_path, told, monkeypatch):
    draw_curves([told(1)], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        draw_curves([told(1), told(2)], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
