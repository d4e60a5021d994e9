"""Drawn films of the chest: one anatomy for all patients, each with small differences of their own."""

import numpy as np
from PIL import Image


def draw_film(seed: int, *, side: int = 320, variety: float = 1.5) -> np.ndarray:
    """One patient's film.

    Args:
        seed: The patient.
        side: Height and width in pixels.
        variety: How far patients differ; at 1.5, about 4% of the pairs have fingerprints as alike as copies.

    Returns:
        uint8 [side, side, 3].
    """
    rng = np.random.default_rng(seed)

    def about(value: float, spread: float) -> float:
        return value + float(rng.normal(0, spread * variety))

    def edge(depth: np.ndarray, sharpness: float) -> np.ndarray:
        return 1 / (1 + np.exp(np.clip(depth * sharpness, -60, 60)))

    y, x = np.mgrid[:side, :side] / side
    middle = about(0.5, 0.006)
    left = x - middle
    film = 20 + 120 * edge((left / about(0.42, 0.006)) ** 4 + ((y - 0.55) / about(0.55, 0.006)) ** 4 - 1, 30)
    for hand in (-1, 1):
        across, along = left - hand * about(0.19, 0.005), y - about(0.47, 0.006)
        film -= 75 * edge((across / about(0.12, 0.004)) ** 2 + (along / about(0.27, 0.006)) ** 2 - 1, 12)
    film += 45 * np.exp(-((left / 0.035) ** 2))
    across, along = left - about(0.06, 0.006), y - about(0.62, 0.006)
    film += 60 * edge((across / about(0.13, 0.005)) ** 2 + (along / about(0.12, 0.005)) ** 2 - 1, 10)
    for rib in range(9):
        for hand in (-1, 1):
            height = about(0.18 + rib * 0.07, 0.003) + about(0.25, 0.005) * np.abs(left) ** 1.2
            film += 22 * np.exp(-(((y - height) / 0.012) ** 2)) * edge(np.abs(left) - 0.33, 60) * edge(-hand * left, 80)
    grain = rng.normal(0, 1, (side // 7, side // 7)).astype(np.float32)
    film += np.asarray(Image.fromarray(grain).resize((side, side), Image.Resampling.BICUBIC)) * 3 * variety
    film += rng.normal(0, 3, film.shape)
    levels = np.clip(film * about(1, 0.02), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)
