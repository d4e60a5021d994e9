"""MONAI's datalist: a JSON with lists of pictures and labels a split; the label is a mask's path, or a class.

Source: MONAI's load_decathlon_datalist.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dermtl.data.importers.document import documents, plain, read_document
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import folder_of
from dermtl.errors import ManifestError
from dermtl.imaging.decode import SUFFIXES

_SPLITS = {"training": "train", "train": "train", "validation": "val", "val": "val", "test": "test", "testing": "test"}


class Monai:
    """``label`` that ends like a picture is ``mask``, any other is the class. Other keys keep their names."""

    name = "monai"
    summary = 'MONAI datalist: {"training": [{"image", "label"}], "test": [...]}'

    def recognises(self, source: Path) -> bool:
        """A JSON with a list ``training`` of objects with ``image``."""
        return bool(documents(source, ("training", "image"), depth=1))

    def read(self, source: Path) -> Iterator[Row]:
        """The entries of all lists, with ``split``.

        Raises:
            ManifestError: An entry names no picture, or several.
        """
        found = documents(source, ("training", "image"), depth=1)
        if len(found) != 1:
            hint = "name one of them"
            raise ManifestError(f"expected one datalist, got {len(found)}", where=str(source), hint=hint)
        path = found[0]
        for key, listed in read_document(path).items():
            if key in _SPLITS and isinstance(listed, list):
                for index, entry in enumerate(listed):
                    yield _row(entry, _SPLITS[key], folder_of(source), f"{path.name}: {key}[{index}]")


def _row(entry: Any, split: str, folder: Path, where: str) -> Row:
    if isinstance(entry, str):  # a test entry may be the picture alone
        entry = {"image": entry}
    image = entry.get("image") if isinstance(entry, dict) else None
    if isinstance(image, list) and len(image) == 1:
        image = image[0]
    if not isinstance(image, str):
        hint = "join channels in files of their own to one picture"
        raise ManifestError(f"expected one path as 'image', got {image!r}", where=where, hint=hint)
    row: dict[str, str | Path] = {key: plain(value) for key, value in entry.items() if key != "label"}
    row |= {"image": folder / image, "split": split}
    label = plain(entry.get("label"))
    if Path(label).suffix.lower() in SUFFIXES:
        row["mask"] = folder / label
    elif label:
        row["label"] = label
    return row


importer = Monai()
