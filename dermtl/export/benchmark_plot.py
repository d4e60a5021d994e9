"""A benchmark's figures as one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dermtl.errors import InputError
from dermtl.evaluation.benchmark_accuracy import PrimaryMetric
from dermtl.runtime.benchmark import BATCHES, Timing


def plot_timings(timings: Sequence[Timing], path: Path, scores: Sequence[Sequence[PrimaryMetric]] = ()) -> None:
    """Draw latency with its shares, throughput by batch size, and scores with their intervals where there are any.

    Args:
        timings: At least one.
        path: A ``.svg``, ``.png`` or ``.pdf`` file.
        scores: For each of the timings those of its heads, or nothing.

    Raises:
        InputError: The suffix is none of these.
    """
    if path.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise InputError("expected a name that ends in .svg, .png or .pdf", where=str(path))
    panels = 3 if any(scores) else 2
    figure = Figure(figsize=(4.5 * panels, 3.2), layout="constrained")
    shares, rates, *rest = figure.subplots(1, panels)
    names = [timing.name for timing in timings]
    decode = [timing.decode_ms for timing in timings]
    shares.barh(names, decode, label="decode")
    shares.barh(names, [timing.model_ms for timing in timings], left=decode, label="model")
    shares.set_xlabel("median latency of one file, ms")
    shares.invert_yaxis()
    shares.legend(frameon=False)
    width = 0.8 / len(timings)
    for index, timing in enumerate(timings):
        places = [place + index * width for place in range(len(BATCHES))]
        rates.bar(places, [timing.images_s[batch] for batch in BATCHES], width, label=timing.name)
    middle = (len(timings) - 1) * width / 2
    rates.set_xticks([place + middle for place in range(len(BATCHES))], [str(batch) for batch in BATCHES])
    rates.set_xlabel("batch size")
    rates.set_ylabel("pictures a second")
    rates.legend(frameon=False)
    for axes in rest:
        _plot_scores(axes, [timing.name for timing in timings], scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _plot_scores(axes: Axes, names: Sequence[str], scores: Sequence[Sequence[PrimaryMetric]]) -> None:
    """A point with its 95% interval for each head's primary metric and contender."""
    heads = list(dict.fromkeys(f"{score.head}\n{score.metric}" for own in scores for score in own))
    for index, (name, own) in enumerate(zip(names, scores, strict=True)):
        known = [(score, score.value) for score in own if score.value is not None]
        if not known:
            continue
        places = [heads.index(f"{score.head}\n{score.metric}") + 0.15 * index for score, _ in known]
        ends = [
            [value - (value if score.low is None else score.low) for score, value in known],
            [(value if score.high is None else score.high) - value for score, value in known],
        ]
        axes.errorbar([value for _, value in known], places, xerr=ends, fmt="o", capsize=3, label=name)
    axes.set_yticks(range(len(heads)), heads)
    axes.set_ylim(len(heads) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("primary metric with 95% interval")
    axes.legend(frameon=False)
