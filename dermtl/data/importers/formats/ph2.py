"""PH2: ``PH2_dataset.txt`` and a folder a picture, or flat copies with pictures and masks.

Source: Mendonca et al. 2013, doi 10.1109/EMBC.2013.6610779.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, files_of, folder_of, tables
from dermtl.data.importers.seen import WORKBOOKS
from dermtl.errors import ManifestError
from dermtl.imaging.decode import SUFFIXES

_log = logging.getLogger(__name__)
_TABLE = "PH2_dataset.txt"
_NAME = re.compile(r"(IMD\d{3})(_lesion)?", re.IGNORECASE)
_COLUMNS = (
    "image_id",
    "histological_diagnosis",
    "clinical_diagnosis",
    "asymmetry",
    "pigment_network",
    "dots_globules",
    "streaks",
    "regression_areas",
    "blue_whitish_veil",
    "colors",
)
_CLASSES = {"0": "common_nevus", "1": "atypical_nevus", "2": "melanoma"}
_MASK_FOLDERS = ("lesion", "mask", "groundtruth", "label")


class Ph2:
    """``label`` is the clinical diagnosis: common_nevus, atypical_nevus or melanoma; none where the table is missing.

    The regions of interest inside a lesion and ``PH2_dataset.xlsx`` are not read.
    """

    name = "ph2"
    summary = "PH2_dataset.txt and IMD002/IMD002_Dermoscopic_Image/IMD002.bmp, or a flat copy"

    def recognises(self, source: Path) -> bool:
        """The table's name, or pictures named IMD and three digits that no other table tells of."""
        if source.is_file():
            return source.name == _TABLE
        if (source / _TABLE).is_file():
            return True
        return _is_named(source) and not _has_other_table(source)

    def read(self, source: Path) -> Iterator[Row]:
        """The table's rows, or without one every picture, with the lesion's mask."""
        folder = folder_of(source)
        images, masks = _pictures(folder)
        if not (folder / _TABLE).is_file():
            _log.warning("%s has no %s: the rows have no label", folder, _TABLE)
            for name in sorted(images):
                yield {"image": images[name], "image_id": name, **_mask(masks, name)}
            return
        pictures = Pictures(folder)
        for where, cells in _table(folder / _TABLE):
            name = cells["image_id"]
            image = images[name] if name in images else pictures.require(name, where)
            label = _CLASSES.get(cells["clinical_diagnosis"])
            if label is None:
                got = cells["clinical_diagnosis"]
                raise ManifestError(f"clinical diagnosis: expected 0, 1 or 2, got {got!r}", where=where)
            yield {**cells, "image": image, "label": label, **_mask(masks, name)}


def _has_other_table(folder: Path) -> bool:
    """Whether a table or a workbook beside the pictures may say more of them."""
    books = [path for path in files_of(folder, WORKBOOKS, 1) if path.stem != Path(_TABLE).stem]
    return bool(books) or any(len(one.header) > 1 for one in tables(folder, depth=1))


def _is_named(folder: Path, depth: int = 4) -> bool:
    """Whether a picture has a name of PH2. Stops at the first: other sources hold a hundred thousand pictures."""
    for top, folders, names in os.walk(folder):
        if any(_NAME.fullmatch(name.rpartition(".")[0]) for name in names):
            return True
        if len(Path(top).parts) - len(folder.parts) + 1 >= depth:
            folders.clear()
    return False


def _mask(masks: Mapping[str, Path], name: str) -> dict[str, Path]:
    return {"mask": masks[name]} if name in masks else {}


def _pictures(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Name to picture, and name to mask: ``IMD002_lesion``, or ``IMD002`` in a folder of masks."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in files_of(folder, SUFFIXES, depth=6):
        match = _NAME.fullmatch(path.stem)
        if match:
            above = path.parent.relative_to(folder).as_posix().lower() if path.parent != folder else ""
            is_mask = bool(match[2]) or any(word in above for word in _MASK_FOLDERS)
            (masks if is_mask else images).setdefault(match[1].upper(), path)
    return images, masks


def _table(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines ``|| IMD002 || ... ||``; the legend below them is passed over."""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not re.match(r"\s*\|\|\s*IMD\d{3}\s*\|\|", line, re.IGNORECASE):
            continue
        cells = [" ".join(cell.split()) for cell in line.strip().strip("|").replace("||", "|").split("|")]
        where = f"{path.name}:{number}"
        if len(cells) != len(_COLUMNS):
            raise ManifestError(f"expected {len(_COLUMNS)} cells, got {len(cells)}", where=where)
        yield where, dict(zip(_COLUMNS, cells, strict=True))


importer = Ph2()
