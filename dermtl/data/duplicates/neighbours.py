"""Which pictures lie near one another in a network's pooled features. Knows arrays alone.

Features are centred on the set first: what all its pictures share says nothing about two of them. Pairs are for a
person to look at; a network is trained to put different lesions of one class side by side, so none of them is sure.
"""

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import MissingExtra

NEAR = 0.7  # cosine; of what it finds on ham10000, two pairs of three are of one lesion (docs/benchmarks.md)
_EXACT = 50_000  # pictures up to which all pairs are compared
_BLOCK = 1024
_CANDIDATES = 16  # neighbours asked of the index, each


def near_pairs(features: Array, *, least: float = NEAR, exact: int = _EXACT) -> list[tuple[int, int, float]]:
    """Pairs of rows with a cosine of at least ``least``, after centring; (i, j, cosine) with i < j.

    Args:
        features: float [N, D].
        least: Smallest cosine.
        exact: With more rows than this an approximate index is searched, and of each row only its nearest count.

    Raises:
        MissingExtra: The index needs usearch.
    """
    if len(features) < 2:
        return []
    centred = features - features.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.asarray(centred / np.maximum(norms, 1e-12), np.float32)
    return _compared(unit, least) if len(unit) <= exact else _searched(unit, least)


def _compared(unit: Array, least: float) -> list[tuple[int, int, float]]:
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(unit), _BLOCK):
        cosines = unit[start : start + _BLOCK] @ unit[start:].T
        rows, columns = np.nonzero(np.triu(cosines >= least, k=1))
        found += [(start + int(i), start + int(j), float(cosines[i, j])) for i, j in zip(rows, columns, strict=True)]
    return found


def _searched(unit: Array, least: float) -> list[tuple[int, int, float]]:
    # onnxruntime 1.31 crashes the process if it is imported after usearch 2.26, whose kernels come from numkong 7.8.
    import onnxruntime  # noqa: F401

    try:
        from usearch.index import Index
    except ModuleNotFoundError as error:
        hint = "pip install 'dermtl[neighbours]'"
        raise MissingExtra(f"neighbours among {len(unit)} pictures need {error.name}", hint=hint) from error
    index = Index(ndim=unit.shape[1], metric="cos", dtype="f32")
    keys = np.arange(len(unit), dtype=np.uint64)
    index.add(keys, unit)
    matches = index.search(unit, _CANDIDATES)
    pairs: dict[tuple[int, int], float] = {}
    for row, (others, distances) in enumerate(zip(matches.keys, matches.distances, strict=True)):
        for other, distance in zip(others.tolist(), distances.tolist(), strict=True):
            if other != row and 1 - distance >= least:
                pairs[min(row, other), max(row, other)] = 1 - distance
    return [(i, j, cosine) for (i, j), cosine in sorted(pairs.items())]
