"""A map of pictures: those with similar features lie close."""

import logging

import numpy as np

from dermtl.arrays import Array

PERPLEXITY = 30
SMALLEST = 10  # fewer points make no map


def embed(pooled: Array, *, seed: int = 0) -> Array:
    """Lay out features in a plane, in 0..1 along both axes.

    Only neighbourhoods have a meaning; distances between groups and their sizes have none.

    Args:
        pooled: float [n, D], at least :data:`SMALLEST` rows.
        seed: The same features and seed give the same plane.

    Returns:
        float64 [n, 2].

    Source: van der Maaten and Hinton 2008, Visualizing data using t-SNE; Esteva et al. 2017 lay out the last layer.
    """
    from openTSNE import TSNE

    logging.getLogger("openTSNE").setLevel(logging.ERROR)  # it warns about its own defaults
    perplexity = min(PERPLEXITY, (len(pooled) - 1) // 3)
    reducer = TSNE(perplexity=perplexity, neighbors="exact", n_jobs=1, random_state=seed)
    plane = np.asarray(reducer.fit(np.asarray(pooled, np.float64)))
    low, high = plane.min(axis=0), plane.max(axis=0)
    return np.asarray((plane - low) / np.maximum(high - low, 1e-12))
