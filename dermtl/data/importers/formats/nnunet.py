"""nnU-Net v2, two-dimensional cases: ``dataset.json``, ``imagesTr/<case>_0000.png`` and ``labelsTr/<case>.png``.

Source: nnU-Net v2's documentation, dataset_format.md.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dermtl.data.importers.document import documents, read_document
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import folder_of
from dermtl.errors import ManifestError
from dermtl.imaging.decode import SUFFIXES

_log = logging.getLogger(__name__)
_KEYS = ("channel_names", "labels", "file_ending")
_CHANNEL = "_0000"


class NnUnet:
    """``mask`` is the file of labels as it is: 0 for background, then the class's number.

    Channels in files of their own, regions, an ignored label and volumes have no counterpart here and are refused.
    """

    name = "nnunet"
    summary = "nnU-Net v2: dataset.json, imagesTr and labelsTr with two-dimensional cases"

    def recognises(self, source: Path) -> bool:
        """A ``dataset.json`` with the keys of version 2."""
        return bool(_documents(source))

    def read(self, source: Path) -> Iterator[Row]:
        """The cases, with ``split`` where there are test pictures.

        Raises:
            ManifestError: The data set is not two-dimensional, or its labels are not one mask of classes.
        """
        found = _documents(source)
        if len(found) != 1:
            raise ManifestError(f"expected one dataset.json, got {len(found)}", where=str(source))
        folder, content = found[0].parent, read_document(found[0])
        ending = str(content.get("file_ending"))
        if ending.lower() not in SUFFIXES:
            hint = "convert the slices to PNG first"
            raise ManifestError(f"file_ending is {ending}, not a picture's", where=found[0].name, hint=hint)
        _log.info(
            "heads: {type: segmentation, classes: [%s]}", ", ".join(_classes(content.get("labels"), found[0].name))
        )
        has_tests = (folder / "imagesTs").is_dir()
        for part, split in (("Tr", "train"), ("Ts", "test")):
            for image in sorted((folder / f"images{part}").glob(f"*{ending}")):
                row: dict[str, str | Path] = {"image": image, "case_id": _case(image)}
                mask = folder / f"labels{part}" / f"{row['case_id']}{ending}"
                if part == "Tr" or mask.is_file():
                    row["mask"] = mask
                if has_tests:
                    row["split"] = split
                yield row


def _documents(source: Path) -> list[Path]:
    found = documents(folder_of(source), _KEYS, depth=1)
    return [path for path in found if path.name == "dataset.json" and source in (path, path.parent)]


def _case(image: Path) -> str:
    if not image.stem.endswith(_CHANNEL):
        hint = "join the channels to one picture a case"
        raise ManifestError(f"expected <case>{_CHANNEL}{image.suffix}", where=str(image), hint=hint)
    return image.stem[: -len(_CHANNEL)]


def _classes(labels: Any, where: str) -> list[str]:
    """The foreground classes in the order of their numbers."""
    if not isinstance(labels, Mapping) or not all(type(number) is int for number in labels.values()):
        hint = "regions of several labels cannot be imported"
        raise ManifestError("labels: expected a number a name", where=where, hint=hint)
    names = sorted(labels, key=lambda name: labels[name])
    if [labels[name] for name in names] != list(range(len(names))) or "ignore" in labels:
        hint = "0 is the background, classes follow without a gap, and there is no label to ignore"
        raise ManifestError(f"labels: got {dict(labels)}", where=where, hint=hint)
    return names[1:]


importer = NnUnet()
