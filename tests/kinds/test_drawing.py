"""Text on pictures: every letter of a class name is drawn, or written without its marks; never an empty box."""

import numpy as np
import pytest
from PIL import Image

from dermtl.kinds import Category, drawing
from dermtl.kinds.drawing import caption


def drawn(text: str) -> np.ndarray:
    return np.asarray(caption(Image.new("RGB", (400, 300)), [text]))


@pytest.mark.parametrize("text", ["é", "Ü", "ł", "ñ", "Ω", "Ж"])
def test_letters_of_european_scripts_are_no_boxes(text):
    pytest.importorskip("matplotlib")
    missing = drawn("\U0010fffd")  # in no font: the box
    assert not np.array_equal(drawn(text), missing)
    assert not np.array_equal(drawn(text), drawn("?"))


def test_without_a_font_letters_lose_their_marks(monkeypatch):
    monkeypatch.setattr(drawing, "_font", lambda size: None)
    assert np.array_equal(drawn("Kératose séborrhéique"), drawn("Keratose seborrheique"))
    assert np.array_equal(drawn("Fuß"), drawn("Fuss"))


@pytest.mark.parametrize("width", [60, 120, 224, 600])
@pytest.mark.parametrize("text", ["keratosis 79%   melanoma 18%   nevus 3%", "x" * 200])
def test_no_text_runs_over_the_edge(width, text, monkeypatch):
    """The last columns of the bar are as dark as its first; the beginning of the text is always there."""
    for font in (drawing._font, lambda size: None):
        monkeypatch.setattr(drawing, "_font", font)
        bar = np.asarray(caption(Image.new("RGB", (width, 300)), [text]))[:14]
        assert not bar[:, -3:].any()
        assert bar[:, :40].any()


def test_classes_without_a_share_are_left_out(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr("dermtl.kinds.category.caption", lambda image, text: lines.extend(text) or image)
    kind, image = Category(("a", "b", "c", "d")), Image.new("RGB", (9, 9))
    for shares in ([0.001, 0.988, 0.011, 0.0], [0.0, 0.0, 0.0, 1.0], [0.2, 0.5, 0.3, 0.0]):
        kind.draw(image, np.array(shares))
    assert lines == ["b 99%   c 1%", "d 100%", "b 50%   c 30%   a 20%"]
