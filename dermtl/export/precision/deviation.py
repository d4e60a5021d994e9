"""What a model's file answers to pictures of the network's own size, and how far another file's answers are from it."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnxruntime

from dermtl.arrays import Array
from dermtl.files.prefetch import batched
from dermtl.runtime.bundle import INPUT
from dermtl.runtime.predictor import BATCH_SIZE


def run_squares(
    content: bytes, squares: Sequence[Array], *, batch_size: int = BATCH_SIZE
) -> Iterator[Mapping[str, Array]]:
    """Output name to values, [N, ...], for a few pictures at a time, on one thread.

    Args:
        content: The model, just made.
        squares: uint8 [S, S, 3].
        batch_size: Pictures in one run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for batch in batched(squares, batch_size):
        yield dict(zip(names, session.run(names, {INPUT: np.stack(batch)}), strict=True))


def answers(content: bytes, squares: Sequence[Array]) -> dict[str, Array]:
    """Output name to the values of all pictures, [N, ...]."""
    parts = list(run_squares(content, squares))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def deviation(exact: Mapping[str, Array], other: Mapping[str, Array]) -> float:
    """How far answers are from the exact ones, as a share of how far those differ between pictures; the worst output.

    0 is the same, 1 no better than the same answer to every picture, infinity an answer that is not finite.
    """
    shares = []
    for name, values in exact.items():
        spread = float(np.abs(values - values.mean(axis=0)).mean())
        share = float(np.abs(other[name] - values).mean()) / max(spread, 1e-9)
        shares.append(share if math.isfinite(share) else math.inf)
    return max(shares)
