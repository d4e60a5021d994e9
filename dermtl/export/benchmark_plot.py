"""A benchmark's figures as one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from dermtl.errors import InputError
from dermtl.runtime.benchmark import BATCHES, Timing


def plot_timings(timings: Sequence[Timing], path: Path) -> None:
    """Draw latency with its shares, and throughput by batch size.

    Args:
        timings: At least one.
        path: A ``.svg``, ``.png`` or ``.pdf`` file.

    Raises:
        InputError: The suffix is none of these.
    """
    if path.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise InputError("expected a name that ends in .svg, .png or .pdf", where=str(path))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    shares, rates = figure.subplots(1, 2)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
