"""ISIC 2016, part 3: a ground truth without a header line: name and benign or malignant, in the test part 0 or 1.

Source: Gutman et al. 2016, arXiv 1605.01397.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.challenge import Labelled, challenge_rows
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import files_of, header_of
from dermtl.errors import ManifestError

_NAME = re.compile(r"ISIC_\d{7}")
_CLASSES = {"benign": "benign", "malignant": "malignant", "0": "benign", "0.0": "benign"} | dict.fromkeys(
    ("1", "1.0"), "malignant"
)


class Isic2016:
    """``label`` is benign or malignant. Copies with a header line are read too."""

    name = "isic_2016"
    summary = "ISBI2016_ISIC_Part3_*_GroundTruth.csv: ISIC_0000000,benign"

    def recognises(self, source: Path) -> bool:
        """A table of two columns whose first line, or whose name, is the challenge's."""
        return bool(_truths(source))

    def read(self, source: Path) -> Iterator[Row]:
        """The rows, with the outlines of part 1 or 3B where they lie in the source."""
        yield from challenge_rows(source, {path: _labelled(path) for path in _truths(source)}, "image_id")


def _truths(source: Path) -> list[Path]:
    files = [source] if source.is_file() else files_of(source, {".csv"})
    return [path for path in files if _is_truth(path, header_of(path))]


def _is_truth(path: Path, first: tuple[str, ...]) -> bool:
    if len(first) != 2:
        return False
    bare = bool(_NAME.fullmatch(first[0])) and first[1].lower() in _CLASSES
    return bare or (path.name.startswith("ISBI2016_ISIC_Part3") and "GroundTruth" in path.name)


def _labelled(path: Path) -> Iterator[Labelled]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, line in enumerate(csv.reader(file), 1):
            where = f"{path.name}:{number}"
            if not line or (number == 1 and not _NAME.fullmatch(line[0].strip())):
                continue
            if len(line) != 2 or line[1].strip().lower() not in _CLASSES:
                raise ManifestError(f"expected a name and benign or malignant, got {','.join(line)!r}", where=where)
            yield where, line[0].strip(), {}, _CLASSES[line[1].strip().lower()]


importer = Isic2016()
