"""Writing a file whole or not at all: a reader, or a run that is resumed, never sees half of one.

The data go to a new file beside the old one, to the disk, and then take its name. Knows nothing of what it writes.
"""

import os
import secrets
from pathlib import Path

from dermtl.errors import DataError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all; missing folders are made.

    Args:
        path: The file.
        data: Bytes, or text that is written as UTF-8 with its line ends as they are.

    Raises:
        DataError: The folder cannot be written, or the disk is full. An older file stays as it was.
    """
    content = data.encode() if isinstance(data, str) else data
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(path)) from error
