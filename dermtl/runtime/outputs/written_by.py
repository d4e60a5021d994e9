"""The model that writes, or wrote, a file of predictions: two small JSON files beside it.

``<name>.unfinished`` exists while rows are still missing; ``<name>.model.json`` is written when the last row is on the
disk, and stays. If both exist, the first one counts. Knows nothing of rows.
"""

import json
import os
from pathlib import Path
from typing import Any

from dermtl.errors import InputError
from dermtl.files.atomic import write_atomic

_HINT = "choose another name, or pass --overwrite"


def mark_of(path: Path) -> Path:
    """The file beside predictions that are not finished."""
    return path.with_name(f"{path.name}.unfinished")


def record_of(path: Path) -> Path:
    """The file beside finished predictions."""
    return path.with_name(f"{path.name}.model.json")


def write_mark(path: Path, model: str) -> None:
    """Write into the mark of unfinished predictions which model makes them.

    Args:
        path: The file of predictions; its mark exists and is locked by this process.
        model: Digest of the model file.

    Raises:
        OSError: The mark cannot be written.
    """
    with mark_of(path).open("wb") as file:  # in place: another file would not be the one that is locked
        file.write(json.dumps({"model": model}).encode())
        file.flush()
        os.fsync(file.fileno())


def write_record(path: Path, model: str) -> None:
    """Write beside finished predictions which model made them.

    Args:
        path: The file of predictions; its rows are on the disk.
        model: Digest of the model file.

    Raises:
        DataError: The record beside the predictions cannot be written.
    """
    write_atomic(record_of(path), json.dumps({"model": model}) + "\n")


def is_marked(path: Path) -> bool:
    """Whether the mark of unfinished predictions names a model; taking the lock alone makes an empty one."""
    mark = mark_of(path)
    return mark.exists() and mark.stat().st_size > 0


def is_finished(path: Path, journal: Path) -> bool:
    """Whether a file of predictions holds all its rows, even if a kill left a mark beside it.

    Args:
        path: The file of predictions.
        journal: The file that rows are added to: ``path`` itself, or the CSV that becomes a Parquet file.
    """
    if not path.exists():
        return False
    if is_marked(path):  # killed after the Parquet file was complete, or before it was to be replaced
        return not journal.exists() and _read(mark_of(path)) == _read(record_of(path))
    return not mark_of(path).exists() or path.stat().st_size > 0  # what is overwritten is emptied before it is marked


def refuse_other_model(path: Path, model: str) -> None:
    """Refuse to take rows of one model for those of another.

    Args:
        path: The file of predictions, begun or finished.
        model: Digest of the model file that is to go on.

    Raises:
        InputError: The rows are another model's, or nothing says whose they are.
    """
    begun = is_marked(path)
    writer = _read(mark_of(path) if begun else record_of(path))
    if writer is None and not begun:
        message = f"does not say which model wrote it: {record_of(path).name} is missing or damaged"
        raise InputError(message, where=str(path), hint=_HINT)
    if writer != model:
        raise InputError(f"was {'begun' if begun else 'finished'} with another model", where=str(path), hint=_HINT)


def _read(file: Path) -> Any:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content.get("model") if isinstance(content, dict) else None
