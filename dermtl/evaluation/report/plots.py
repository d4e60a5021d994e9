"""Figures of a report: drawn by matplotlib, carried as data URLs, each with a text for those who cannot see it."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from dermtl.arrays import Array
from dermtl.files.plot_style import FONT_SIZE, plot_style
from dermtl.kinds.drawing import PALETTE

COLOURS = tuple(tuple(level / 255 for level in colour) for colour in (PALETTE[6], *PALETTE[:5]))
GREY = "0.6"


@dataclass(frozen=True)
class Plot:
    """A picture of a report.

    Attributes:
        title: Title above the plot.
        url: ``data:image/...``.
        text: Content of the plot in words, for readers who cannot see it.
    """

    title: str
    url: str
    text: str


def plot(title: str, text: str, draw: Callable[[Any], None], *, size: tuple[float, float] = (4.2, 3.6)) -> Plot:
    """Draw one pair of axes.

    Args:
        title: Above the figure; no part of the drawing.
        text: Content of the plot in words, for readers who cannot see it.
        draw: Called with the axes.
        size: Width and height in inches.
    """
    return _draw(title, text, [draw], 1, size)


def grid(
    title: str, text: str, draws: Sequence[Callable[[Any], None]], *, labels: tuple[str, str], columns: int = 3
) -> Plot:
    """Draw many small pairs of axes, row by row, that share the names of their axes.

    Args:
        title: Above the figure.
        text: Content of the plot in words, for readers who cannot see it.
        draws: One for each pair of axes.
        labels: Label that all x axes share, and label that all y axes share.
        columns: Pairs of axes side by side.
    """
    rows = -(-len(draws) // columns)
    return _draw(title, text, draws, columns, (1.45 * columns, 0.3 + 1.6 * rows), labels)


def _draw(
    title: str,
    text: str,
    draws: Sequence[Callable[[Any], None]],
    columns: int,
    size: tuple[float, float],
    labels: tuple[str, str] = ("", ""),
) -> Plot:
    from matplotlib.figure import Figure as Canvas

    content = io.BytesIO()
    with plot_style(text_as_paths=True):
        canvas = Canvas(figsize=size, layout="constrained")
        for place, draw in enumerate(draws):
            axes = canvas.add_subplot(-(-len(draws) // columns), columns, place + 1)
            axes.spines[["top", "right"]].set_visible(False)
            draw(axes)
            _plain_text(axes)
        for label, write in zip(labels, (canvas.supxlabel, canvas.supylabel), strict=True):
            if label:
                write(label, fontsize=FONT_SIZE)
        canvas.savefig(content, format="svg", metadata={"Date": None})
    return Plot(title, "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode(), text)


def photograph(pixels: Array, *, width_px: int = 360) -> str:
    """A picture, uint8 [H, W, 3], as a small JPEG's data URL."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((width_px, width_px))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def colour(index: int) -> tuple[float, ...]:
    """The colour of the index-th series; from the seventh on grey."""
    return COLOURS[index] if index < len(COLOURS) else (0.6, 0.6, 0.6)


def _plain_text(axes: Any) -> None:
    """A class may be named with a dollar sign, which is no formula."""
    legend = axes.get_legend()
    labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]
    labels += [axes.xaxis.label, axes.yaxis.label, axes.title]
    for text in [*labels, *(legend.get_texts() if legend else ())]:
        text.set_parse_math(False)
