"""Hugging Face's ImageFolder: ``metadata.csv`` or ``metadata.jsonl`` beside the pictures, or one in every split."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dermtl.data.importers.document import plain
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Table, files_of, folder_of, header_of, split_of
from dermtl.data.importers.lock import is_imported
from dermtl.data.manifest.split_names import SPLITS
from dermtl.errors import ManifestError

_NAMES = ("metadata.csv", "metadata.jsonl")
_MASKS = frozenset({"mask_file_name", "label_file_name", "segmentation_file_name"})
_ENDING = "file_name"


class HuggingFace:
    """``file_name`` is the picture; ``mask_file_name`` a mask; any other ``*_file_name`` a file under its own name."""

    name = "hugging_face"
    summary = "metadata.csv or metadata.jsonl with file_name or *_file_name"

    def recognises(self, source: Path) -> bool:
        """A metadata file, here or one level down, with a column that ends in ``file_name``."""
        return any(_file_columns(_columns(path)) for path in _metadata(source))

    def read(self, source: Path) -> Iterator[Row]:
        """Every column under its own name; ``split`` where metadata files, or pictures, lie in folders of splits.

        Raises:
            ManifestError: A row names no picture.
        """
        for path in _metadata(source):
            split = split_of(path.parent.name) if path.parent != folder_of(source) else ""
            for where, cells in _rows(path):
                image = _image_column(cells, where)
                named = split or _split_above(cells[image])
                row: dict[str, str | Path] = {"split": named, **cells} if named else dict(cells)
                for column in _file_columns(cells):
                    text = cells[column]
                    if column == image:
                        row["image"] = path.parent / text
                    elif text:
                        row["mask" if column in _MASKS and "mask" not in cells else column] = path.parent / text
                yield row


def _split_above(text: str) -> str:
    """The split whose folder a picture lies in, where one table stands above all of them."""
    top, slash, _ = text.replace("\\", "/").removeprefix("./").partition("/")
    return SPLITS.get(top.lower(), "") if slash else ""


def _metadata(source: Path) -> list[Path]:
    found = [source] if source.is_file() else files_of(source, {".csv", ".jsonl"})
    return [path for path in found if path.name in _NAMES and not is_imported(path)]


def _columns(path: Path) -> tuple[str, ...]:
    if path.suffix == ".csv":
        return header_of(path)
    try:
        with path.open("rb") as file:
            content = json.loads(file.readline().decode("utf-8-sig"))
    except (OSError, ValueError):
        return ()
    return tuple(content) if isinstance(content, dict) else ()


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    if path.suffix == ".csv":
        yield from Table(path, header_of(path)).rows()
        return
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                where = f"{path.name}:{number}"
                yield where, {key: plain(value) for key, value in _parsed(line, where).items()}


def _parsed(line: str, where: str) -> Mapping[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise ManifestError(f"is not JSON: {error}", where=where) from error
    if not isinstance(content, dict):
        raise ManifestError("expected an object", where=where)
    return content


def _file_columns(cells: Mapping[str, str] | tuple[str, ...]) -> list[str]:
    return [column for column in cells if column == _ENDING or column.endswith(f"_{_ENDING}")]


def _image_column(cells: Mapping[str, str], where: str) -> str:
    files = _file_columns(cells)
    for named in ([_ENDING], ["image_file_name"], [column for column in files if column not in _MASKS]):
        present = [column for column in named if cells.get(column)]
        if len(present) == 1:
            return present[0]
    raise ManifestError(f"which column names the picture, of {', '.join(files) or 'none'}?", where=where)


importer = HuggingFace()
