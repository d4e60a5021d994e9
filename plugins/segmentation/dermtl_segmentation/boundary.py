"""Distances between the edges of two masks. NumPy only, and exact.

Tools define these distances differently, so compare only values of one definition. Here the edge is the mask without
its erosion by the four neighbours (outside the picture counts as outside the mask), distances are between centres of
pixels, and both directions are pooled before the percentile is computed.
"""

import numpy as np

from dermtl.api import Array

TOLERANCE = 2 / 512  # of the picture's width
_CHUNK = 256  # edge pixels at a time
_REACH_PX = 32  # rows above and below them that are searched first


def boundary_scores(found: Array, true: Array) -> dict[str, float]:
    """Compare two masks, bool [H, W].

    Returns:
        ``hd95_pooled_px``: 95th percentile of the distances from each edge pixel to the nearest of the other mask, in
        pixels; 0 if both masks are empty, NaN if one is. ``surface_dice``: share of the edge pixels within 2 px
        of the other edge in a picture 512 px wide; 1 if both are empty, 0 if one is.

    Source: the surface Dice of Nikolov et al. 2018, counted in pixels instead of lengths.
    """
    one, other = _edge(found), _edge(true)
    if not len(one) or not len(other):
        alike = len(one) == len(other)
        return {"hd95_pooled_px": 0.0 if alike else float("nan"), "surface_dice": float(alike)}
    distances = np.concatenate([_nearest(one, other), _nearest(other, one)])
    return {
        "hd95_pooled_px": float(np.percentile(distances, 95)),
        "surface_dice": float((distances <= TOLERANCE * found.shape[1]).mean()),
    }


def _edge(mask: Array) -> Array:
    """Row and column of the pixels with a neighbour outside, int32 [m, 2]."""
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~inside).astype(np.int32)


def _nearest(points: Array, others: Array) -> Array:
    """The distance from every point to the nearest of the others, float64 [m]; both are in the order of their rows."""
    squared = np.empty(len(points), np.int64)
    for start in range(0, len(points), _CHUNK):
        part, reach = points[start : start + _CHUNK], _REACH_PX
        while True:
            low, high = np.searchsorted(others[:, 0], [part[0, 0] - reach, part[-1, 0] + reach + 1])
            near = others[low:high]
            if len(near):
                found = np.subtract.outer(part[:, 0], near[:, 0]) ** 2
                found += np.subtract.outer(part[:, 1], near[:, 1]) ** 2
                squared[start : start + _CHUNK] = best = found.min(axis=1)
                # A point outside the searched rows is farther away than reach.
                if best.max() <= reach**2 or len(near) == len(others):
                    break
            reach *= 4
    return np.asarray(np.sqrt(squared))
