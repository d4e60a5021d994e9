"""The one style of all plots that are written to files. Needs matplotlib."""

from collections.abc import Iterator
from contextlib import contextmanager

FONT_SIZE = 9
_STYLE = {"svg.hashsalt": "dermtl", "font.size": FONT_SIZE, "legend.fontsize": 8}


@contextmanager
def plot_style(*, text_as_paths: bool = False) -> Iterator[None]:
    """Draw in this style; the same data give the same bytes.

    A person's own settings of matplotlib must not change what a report shows.

    Args:
        text_as_paths: Whether letters are drawn as outlines, so that they look the same without the font.
    """
    import matplotlib.style

    with matplotlib.style.context(["default", {**_STYLE, "svg.fonttype": "path" if text_as_paths else "none"}]):
        yield
