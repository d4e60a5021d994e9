"""What the ISIC challenges of 2016 to 2019 share: one row a picture, tables of metadata beside, outlines by name."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, split_of, tables
from dermtl.errors import ManifestError

Labelled = tuple[str, str, Mapping[str, str], str]
"""Where, name of the picture, the other cells, class."""


def challenge_rows(source: Path, truths: Mapping[Path, Iterable[Labelled]], key: str) -> Iterator[Row]:
    """The rows of several ground truths with the metadata and the outlines that lie in the same source.

    Args:
        source: The folder, or one ground truth in it.
        truths: Ground truth to its rows. Where there are several, their names tell ``split``.
        key: The column with the picture's name in tables of metadata.
    """
    pictures, metadata = Pictures(folder_of(source)), _metadata(folder_of(source), key)
    for path, labelled in truths.items():
        split = split_of(path.name) if len(truths) > 1 else ""
        for where, name, cells, label in labelled:
            row: dict[str, str | Path] = {**metadata.get(name, {}), **cells}
            row |= {"image": pictures.require(name, where), "image_id": name, "label": label}
            if split:
                row["split"] = split
            if mask := pictures.mask(name, where):
                row["mask"] = mask
            yield row


def from_one_hot(cells: Mapping[str, str], classes: Iterable[str], where: str, *, none: str = "") -> str:
    """The class whose column holds 1.

    Args:
        cells: The row; every class is a column.
        classes: The columns.
        where: The row, for messages.
        none: The class of a row of zeros; empty: such a row is an error.

    Raises:
        ManifestError: A cell is neither 0 nor 1, or not exactly one holds 1.
    """
    held = []
    for name in classes:
        try:
            value = float(cells[name])
        except ValueError:
            value = -1.0
        if value not in (0.0, 1.0):
            raise ManifestError(f"column {name!r}: expected 0 or 1, got {cells[name]!r}", where=where)
        held += [name] * int(value)
    if len(held) == 1:
        return held[0]
    if not held and none:
        return none
    got = " and ".join(held) or "none"
    raise ManifestError(f"expected exactly one class, got {got}", where=where, hint="correct the ground truth")


def _metadata(folder: Path, key: str) -> dict[str, dict[str, str]]:
    """Name of a picture to what tables of metadata and of lesions say of it."""
    found: dict[str, dict[str, str]] = {}
    for table in tables(folder, [key]):
        if any(word in table.path.name.lower() for word in ("metadata", "lesiongroupings")):
            for _, cells in table.rows():
                found.setdefault(cells[key], {}).update({c: text for c, text in cells.items() if c != key})
    return found
