"""Which class was taken for which."""

from collections.abc import Mapping
from typing import Any

from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import plot

_MOST = 30  # classes whose numbers can still be read


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """Counts and their shares of each true class; None for heads without classes."""
    probabilities = context.evaluation.predictions.probabilities.get(head)
    if probabilities is None or not probabilities.exclusive:
        return None
    num = len(probabilities.names)
    counts = probabilities.confusion().counts
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)

    def draw(axes: Any) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(num), probabilities.names, rotation=45, ha="right")
        axes.set_yticks(range(num), probabilities.names)
        axes.set(xlabel="decided", ylabel="true")
        for row in range(num if num <= _MOST else 0):
            for column in range(num):
                dark = shares[row, column] > 0.6
                axes.text(
                    column,
                    row,
                    f"{counts[row, column]:.0f}\n{shares[row, column]:.0%}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else "black",
                )

    right = ", ".join(
        f"{name} {shares[i, i]:.0%} of {counts[i].sum():.0f}" for i, name in enumerate(probabilities.names)
    )
    side = 1.6 + 0.62 * min(num, _MOST)
    return {"figure": plot("Confusion matrix", f"Decided right: {right}.", draw, size=(side, side))}
