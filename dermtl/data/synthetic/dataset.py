"""Drawn pictures of skin lesions with every kind of truth, for the first steps and for tests. Not for medicine.

Picture i depends on the seed and i alone, not on how many are drawn: every patient, lesion and picture has its own
random stream.
"""

import io
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from numpy.random import default_rng
from PIL import Image

from dermtl.arrays import Array
from dermtl.data.synthetic.case import Lesion, Patient, draw_lesion, draw_patient
from dermtl.data.synthetic.render import FIELD_MM, render
from dermtl.files.atomic import write_atomic
from dermtl.files.table import write_table
from dermtl.kinds.circle import equal_area_circle

HEADER = ("image", "label", "mask", "cx", "cy", "r", "patient_id", "lesion_id", "diameter_mm", "age", "sex")
_PATIENT, _LESION, _PICTURE, _MISSING = range(4)  # names of the random streams


def synthesise(folder: Path, *, num: int = 300, seed: int = 0) -> Path:
    """Write ``images/*.jpg``, ``masks/*.png`` (0 and 255) and ``manifest.csv``.

    Circles have the centroid and the area of their mask, in pixels. Some ages and diameters are left empty.

    Args:
        folder: Made where it is missing; files of the same names are replaced.
        num: Number of pictures.
        seed: The same seed gives the same bytes on one machine.

    Returns:
        The manifest's path.

    Raises:
        DataError: The folder cannot be written.
    """
    rows = []
    for index, (patient_id, lesion_id, patient, lesion) in enumerate(islice(_visits(seed), num)):
        image, mask = render(patient, lesion, default_rng([seed, _PICTURE, index]))
        name = f"{index:05d}"
        write_atomic(folder / "images" / f"{name}.jpg", _encode(image, "JPEG", quality=92))
        write_atomic(folder / "masks" / f"{name}.png", _encode(mask, "PNG"))
        circle = equal_area_circle(mask)
        assert circle is not None, "a lesion is never empty"
        known = default_rng([seed, _MISSING, index]).random() > 0.08
        mm = round(2 * float(circle[2]) * FIELD_MM / max(mask.shape), 2) if known else None
        truth = [f"{value:.2f}" for value in circle]
        who = (patient_id, lesion_id, mm, patient.age, patient.sex)
        rows.append((f"images/{name}.jpg", lesion.label, f"masks/{name}.png", *truth, *who))
    write_table(folder / "manifest.csv", HEADER, rows)
    return folder / "manifest.csv"


def _encode(pixels: Array, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def _visits(seed: int) -> Iterator[tuple[str, str, Patient, Lesion]]:
    """Picture after picture: who and what it shows."""
    for number in count():
        patient = draw_patient(default_rng([seed, _PATIENT, number]))
        for which in patient.lesions:
            lesion = draw_lesion(default_rng([seed, _LESION, number, which]))
            yield f"P{number:04d}", f"L{number:04d}{'abcd'[which]}", patient, lesion
