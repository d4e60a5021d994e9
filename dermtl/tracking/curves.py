"""Curves of a run: losses, metrics of every head, learning rate and begins of stages. Needs matplotlib."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from dermtl.files.atomic import write_atomic
from dermtl.files.plot_style import plot_style
from dermtl.tracking.history import Row, finite_numbers, head_metrics, heads_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_LINES = 10  # as many as colours can distinguish
_LOSSES = {"train.loss": "training", "val.loss": "validation"}
Panel = tuple[str, dict[str, str]]


def draw_curves(rows: Sequence[Row], folder: Path) -> None:
    """Write ``curves.svg`` and ``curves.png``: the same rows give the same bytes.

    Args:
        rows: Rows of metrics.csv as numbers; cells may be absent or NaN.
        folder: Folder of the run.

    Raises:
        DataError: The folder cannot be written.
    """
    write_atomic(folder / "curves.svg", _drawn(rows, "svg"))
    write_atomic(folder / "curves.png", _drawn(rows, "png"))


def curves_svg(rows: Sequence[Row]) -> str:
    """The same picture as an ``<svg>`` element to be put into a page."""
    text = _drawn(rows, "svg").decode()
    return text[text.index("<svg") :]


def _drawn(rows: Sequence[Row], form: str) -> bytes:
    from matplotlib.figure import Figure

    panels = _panels(rows)
    content = io.BytesIO()
    with plot_style():
        lines = (len(panels) + 1) // 2
        figure = Figure(figsize=(10, 2.6 * lines), layout="constrained")
        _fill(figure, panels, rows, lines)
        stamp = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(content, format=form, dpi=120, metadata=stamp)
    return content.getvalue()


def _panels(rows: Sequence[Row]) -> list[Panel]:
    """Title, and column to label, of every panel."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    panels: list[Panel] = [("loss", _LOSSES)]
    for head in heads_of(columns):
        names = head_metrics(columns, head)
        shares = [name for name in names if _is_share(rows, f"val.{head}.{name}")]
        others = [name for name in names if name not in shares]
        for title, chosen in ((head, shares), (f"{head}, not within 0..1", others)):
            if chosen:
                # Metrics of the whole head before those of single classes; metrics.csv has all of them.
                shown = sorted(chosen, key=lambda name: "." in name)[:_MAX_LINES]
                left = f" ({len(shown)} of {len(chosen)})" if len(shown) < len(chosen) else ""
                panels.append((title + left, {f"val.{head}.{name}": name for name in shown}))
    return [*panels, ("learning rate", {"lr": "lr"})]


def _is_share(rows: Sequence[Row], column: str) -> bool:
    return all(0 <= known[column] <= 1 for row in rows if column in (known := finite_numbers(row)))


def _fill(figure: "Figure", panels: Sequence[Panel], rows: Sequence[Row], lines: int) -> None:
    starts = [row["epoch"] - 0.5 for before, row in pairwise(rows) if row.get("stage") != before.get("stage")]
    for index, (title, columns) in enumerate(panels):
        axes = figure.add_subplot(lines, 2, index + 1)
        for column, label in columns.items():
            points = [(row["epoch"], row[column]) for row in rows if column in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=2.5, linewidth=1.2, label=label)
        for start in starts:
            axes.axvline(start, color="0.6", linewidth=0.8, linestyle="--")
        _dress(axes, title, columns, rows)


def _dress(axes: "Axes", title: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", parse_math=False)
    axes.set_xlabel("epoch; dashed: a new stage" if columns is _LOSSES else "epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    if "lr" in columns:
        if any(finite_numbers(row).get("lr", 0.0) > 0 for row in rows):
            axes.set_yscale("log", nonpositive="mask")
    elif handles := axes.get_legend_handles_labels()[0]:
        legend = axes.legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        for text in legend.get_texts():
            text.set_parse_math(False)  # a class may be named with a dollar sign
