"""From an importer's rows to a manifest, the pictures that had to be drawn, and a lock. Knows no format.

Files of the source stay where they are: the manifest's paths start at its own folder, so it must lie above them.
"""

import csv
import io
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

from PIL import Image

from dermtl.config.missing import is_missing
from dermtl.data.importers.detect import choose_importer
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import folder_of
from dermtl.data.importers.lock import lock_path, refuse_overwriting, sha256, write_lock
from dermtl.data.importers.named import Columns, read_named
from dermtl.data.importers.seen import WORKBOOKS, tell
from dermtl.data.manifest.folders import WRITTEN, look_around
from dermtl.errors import DataError, DermtlError, ManifestError, PluginContract
from dermtl.files.atomic import write_atomic
from dermtl.files.spreadsheet import WORKBOOK_HINT, spreadsheet_header
from dermtl.files.table import write_table
from dermtl.imaging.decode import SUFFIXES
from dermtl.imaging.suffixes import is_picture
from dermtl.kinds.record import safe_relative_path
from dermtl.plugins.installed import CORE, distribution_of, in_one_line, origin_of

_log = logging.getLogger(__name__)
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_FIRST = ("image", "label", "split", "patient_id", "lesion_id", "mask", "cx", "cy", "r")  # the order of known columns
_CHUNK = 1024  # rows in memory with pictures that are still to be written
_TASK = 32  # rows a task: a task a row would cost more than the row


@dataclass(frozen=True)
class Imported:
    """What an import has made.

    Attributes:
        num_dropped: Rows left out since their picture is missing.
        labels: Class to number of pictures; empty without a column ``label``.
        seen: Lines that describe the tables, folders and files of the source.
        num_unlabelled: Rows without a class, where others have one.
        unused: Pictures of the source that no row names.
    """

    manifest: Path
    lock: Path
    format: str
    columns: tuple[str, ...]
    num_rows: int
    num_dropped: int
    labels: Mapping[str, int]
    seen: tuple[str, ...] = ()
    num_unlabelled: int = 0
    unused: tuple[Path, ...] = ()


@dataclass
class _Placed:
    """A row as text alone, the digests of its files, those that were drawn and those that are missing."""

    cells: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)


def import_data(
    source: Path,
    out: Path | None = None,
    *,
    name: str | None = None,
    columns: Columns | None = None,
    allow_missing: bool = False,
    write: bool = True,
) -> Imported:
    """Write the manifest of a source, with its lock beside it.

    Args:
        source: A folder or a file, unpacked.
        out: The manifest; default: ``manifest.csv`` in the source's folder. Its folder holds all the pictures.
        name: The format; default: the one that recognises the source, and is sure.
        columns: Columns of a table that is none of the known formats; no format is looked for.
        write: False: read everything and write nothing.
        allow_missing: Leave out rows whose picture is missing, and empty cells whose other file is.

    Raises:
        DataError: The source is missing, packed, of no known format or breaks it, files are missing, or ``out`` lies
            beside the pictures or exists and is no import.
        PluginError: The importer cannot be used, or fails.
    """
    source = Path(os.path.abspath(source))  # noqa: PTH100  a link is not followed: the manifest's paths go through it
    if not source.exists():
        raise ManifestError("no such file or folder", where=str(source))
    if source.suffix.lower() in _ARCHIVES and source.is_file():
        raise ManifestError("is an archive", where=str(source), hint="unpack it first, then import the folder")
    if source.suffix.lower() in WORKBOOKS and source.is_file() and not spreadsheet_header(source):
        raise ManifestError("is an Excel workbook that cannot be read", where=str(source), hint=WORKBOOK_HINT)
    out = folder_of(source) / "manifest.csv" if out is None else Path(os.path.abspath(out))  # noqa: PTH100
    if write:
        refuse_overwriting(out)
    importer, point = choose_importer(source, "table" if columns is not None else name)
    if name is None and columns is None and hasattr(importer, "refuse_doubtful"):
        importer.refuse_doubtful(source)
    _log.info("importing %s as %s", source, importer.name)
    try:
        read = importer.read(source) if columns is None else read_named(source, columns)
        rows, digests, num_dropped = _gather(read, out, allow_missing, hashed=write)
    except UnicodeDecodeError as error:
        raise ManifestError("holds a table that is not UTF-8 text", where=str(source)) from error
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", where=str(source)) from error
    except (Exception, SystemExit) as error:
        owner = distribution_of(point)
        if isinstance(error, DermtlError) or owner == CORE:
            raise
        where = f"importer {point.name!r} of {owner}"
        message = f"fails while it reads {source}: {in_one_line(error)}"
        raise PluginContract(message, where=where, hint="dermtl --debug shows where") from error
    if not rows:
        raise ManifestError("holds no pictures", where=str(source), hint=f"it was read as {importer.name}")
    header = _columns(rows)
    labels = Counter(row["label"] for row in rows if row.get("label") and not is_missing(row["label"]))
    around = look_around(folder_of(source))
    used = {os.path.normpath(out.parent / text) for text in digests}
    made = Imported(
        *(out, lock_path(out), importer.name, header, len(rows), num_dropped, dict(sorted(labels.items()))),
        seen=tuple(tell(around)),
        num_unlabelled=len(rows) - labels.total() if labels else 0,
        unused=tuple(path for path in around.pictures if str(path) not in used) if write else (),
    )
    if not write:
        return made
    write_table(out, header, ([row.get(column, "") for column in header] for row in rows))
    origin = {
        "format": importer.name,
        "importer": origin_of(point),
        "source": Path(os.path.relpath(source, out.parent)).as_posix(),
        "rows": len(rows),
        "dropped": num_dropped,
    }
    write_lock(out, origin, digests)
    return made


def _gather(
    rows: Iterable[Row], out: Path, allow_missing: bool, *, hashed: bool = True
) -> tuple[list[dict[str, str]], dict[str, str], int]:
    """All rows as text and the digest of every file, read, drawn and hashed by threads a chunk at a time."""
    kept: list[dict[str, str]] = []
    digests: dict[str, str] = {}
    missing: list[Path] = []
    seen: set[str] = set()
    num_dropped, pending = 0, iter(rows)
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as threads:
        while chunk := list(islice(pending, _CHUNK)):
            goes_on = allow_missing or not missing  # once the import has failed, only the missing files are counted
            tasks = [chunk[start : start + _TASK] for start in range(0, len(chunk), _TASK)]
            place = partial(_place_all, out=out, hashed=hashed and goes_on)
            for placed in chain.from_iterable(threads.map(place, tasks)):
                missing += placed.missing
                if not placed.cells["image"]:
                    num_dropped += 1
                    continue
                for name in dict.fromkeys((placed.cells["image"], *placed.drawn)):
                    if name in seen:
                        hint = "one row a picture; name one table of the source"
                        raise ManifestError(f"the picture {name!r} stands in two rows", hint=hint)
                    seen.add(name)
                kept.append(placed.cells)
                digests |= placed.digests
    if missing and not allow_missing:
        hint = "give --allow-missing to leave them out, or fetch them"
        raise ManifestError(f"{len(missing)} files are missing, the first is {missing[0]}", hint=hint)
    if missing:
        _log.warning("%d files are missing, the first is %s; %d rows left out", len(missing), missing[0], num_dropped)
    return kept, digests, num_dropped


def _place_all(rows: Iterable[Row], out: Path, hashed: bool) -> list[_Placed]:
    return [_place(row, out, hashed) for row in rows]


def _place(row: Row, out: Path, hashed: bool) -> _Placed:
    if "image" not in row:
        raise ManifestError(f"a row has no column 'image', only {', '.join(row)}", hint="the importer is at fault")
    placed = _Placed()
    for column, cell in sorted(row.items(), key=lambda item: item[0] != "image"):
        if isinstance(cell, str):
            placed.cells[column] = cell
            continue
        path = _drawn_path(cell, out) if isinstance(cell, RenderedImage) else cell
        text = placed.cells[column] = _relative(path, out)
        if column == "image" and not is_picture(path):
            hint = "convert it first; pictures end in " + ", ".join(sorted(SUFFIXES))
            raise ManifestError("is not a picture of a known format", where=str(path), hint=hint)
        if isinstance(cell, Path) and not path.is_file():
            placed.missing.append(path)
            placed.cells[column] = ""
            if column == "image":  # the row will be dropped: nothing is drawn for it
                break
        elif hashed:
            placed.digests[text] = _write(cell, path) if isinstance(cell, RenderedImage) else sha256(path)
        if isinstance(cell, RenderedImage):
            placed.drawn.append(text)
    return placed


def _drawn_path(drawn: RenderedImage, out: Path) -> Path:
    name = safe_relative_path(f"{drawn.name}.png")
    if name is None:
        raise ManifestError(f"a picture of the source is named {drawn.name!r}, which leaves its folder")
    return out.parent / f"{out.stem}{WRITTEN}" / name


def _relative(path: Path, out: Path) -> str:
    """The path from the manifest's folder, as a manifest writes it."""
    root = out.parent.as_posix().rstrip("/") + "/"
    full = Path(os.path.abspath(path)).as_posix()  # noqa: PTH100
    if not full.startswith(root):
        common = os.path.commonpath((full, out.parent))
        hint = f"--out must lie in a folder above all pictures, such as {Path(common) / out.name}"
        raise ManifestError(f"the picture lies outside {out.parent}", where=str(path), hint=hint)
    text = full[len(root) :]
    if safe_relative_path(text) != text or text != text.strip():
        raise ManifestError("a manifest cannot hold this name", where=str(path), hint="rename the file")
    return text


def _write(drawn: RenderedImage, path: Path) -> str:
    stream = io.BytesIO()
    Image.fromarray(drawn.draw()).save(stream, "PNG")
    write_atomic(path, stream.getvalue())
    return sha256(path)


def _columns(rows: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Every column of any row: the known ones first, then the others as they come."""
    found = dict.fromkeys(column for row in rows for column in row)
    return tuple([column for column in _FIRST if column in found] + [c for c in found if c not in _FIRST])
