"""What an invented patient and an invented lesion are like, before anything is drawn.

Three classes overlap in size and colour: nevi are round and evenly brown, melanomas larger, lopsided and of several
colours, keratoses yellowish to grey, speckled and sharply bordered. The numbers are plausible, not measured.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from dermtl.arrays import Array

CLASSES = ("nevus", "melanoma", "keratosis")
_SHARES = (0.44, 0.28, 0.28)


@dataclass(frozen=True)
class Patient:
    """What all pictures of one person share."""

    skin: Array
    hairiness: float
    age: int | None
    sex: str
    lesions: tuple[int, ...]  # the lesion that each picture shows


@dataclass(frozen=True)
class Lesion:
    """What all pictures of one lesion share.

    Attributes:
        radii: float [5, 2], cosine and sine terms of the outline's radius, as parts of it.
        stretch: Long over short axis.
        colours: float [3, 3], main, second and patch colour, 0..1.
    """

    label: str
    diameter_mm: float
    radii: Array
    stretch: float
    colours: Array
    patchiness: float
    speckle: float
    softness: float


def draw_patient(rng: Generator) -> Patient:
    """A person with one to four pictures, most of them of one lesion."""
    light, dark = np.array([0.92, 0.79, 0.73]), np.array([0.66, 0.47, 0.37])
    skin = light + (dark - light) * rng.beta(1.2, 2.4) + rng.normal(0, 0.014, 3)
    lesions = np.cumsum(np.r_[0, rng.random(rng.integers(0, 4)) < 0.55])
    age = None if rng.random() < 0.1 else int(np.clip(rng.normal(52, 17), 5, 92))
    return Patient(skin, float(rng.beta(0.7, 2.5)), age, str(rng.choice(("female", "male"))), tuple(lesions.tolist()))


def draw_lesion(rng: Generator) -> Lesion:
    """A lesion of one of the classes; sizes and colours overlap."""
    label = str(rng.choice(CLASSES, p=_SHARES))
    tan, brown, black = np.array([0.64, 0.42, 0.27]), np.array([0.38, 0.21, 0.14]), np.array([0.16, 0.10, 0.10])
    waxy, grey, red, blue = (
        np.array(colour) for colour in ((0.68, 0.51, 0.33), (0.50, 0.41, 0.36), (0.70, 0.44, 0.38), (0.42, 0.41, 0.46))
    )
    mix, tint = rng.random(), rng.normal(0, 0.015, 3)
    powers = np.arange(2, 7)[:, None] ** -1.0
    if label == "nevus":
        main = tan + (brown - tan) * mix
        colours, wobble, diameter = [main, main * 0.8, main * 1.12], rng.uniform(0.03, 0.11), rng.normal(6.2, 1.7)
        patchiness, speckle, softness = rng.uniform(0.2, 0.6), 0.05, rng.uniform(0.08, 0.2)
    elif label == "melanoma":
        main = brown + (black - brown) * mix * 0.9
        patch = (blue, red, tan)[rng.integers(3)]
        colours, wobble, diameter = (
            [main, tan + (brown - tan) * rng.random(), patch],
            rng.uniform(0.08, 0.22),
            rng.normal(7.8, 2.0),
        )
        patchiness, speckle, softness = rng.uniform(0.4, 1.0), 0.08, rng.uniform(0.04, 0.2)
    else:
        main = waxy + (grey - waxy) * mix + (brown - waxy) * 0.35 * rng.random()
        colours, wobble, diameter = [main, main * 0.82, main * 1.12], rng.uniform(0.05, 0.12), rng.normal(6.8, 1.9)
        patchiness, speckle, softness = 0.5, rng.uniform(0.15, 0.75), rng.uniform(0.02, 0.09)
    return Lesion(
        label=label,
        diameter_mm=float(np.clip(diameter, 2.8, 13.0)),
        radii=rng.normal(0, wobble * rng.uniform(0.6, 1.3), (5, 2)) * powers * 1.6,
        stretch=float(1 + abs(rng.normal(0, 0.16))),
        colours=np.clip(np.array(colours) + tint, 0.03, 0.98),
        patchiness=float(patchiness),
        speckle=float(speckle),
        softness=float(softness),
    )
