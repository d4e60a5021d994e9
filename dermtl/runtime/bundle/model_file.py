"""The bytes of a model file: read once, checked before anything runs, and its digest in a sidecar.

``model.onnx.sha256`` beside the model holds the output of ``sha256sum``; if it exists, the bytes must have this digest.
"""

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path

from dermtl.errors import BundleError
from dermtl.files.atomic import write_atomic
from dermtl.runtime.bundle.self_contained import check_self_contained

MAX_BYTES = 2**31 - 1  # what one protobuf can hold
_AGAIN = "copy or export it again"


@dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Attributes:
        path: Path of the file.
        content: Bytes of the file.
        sha256: SHA-256 of these bytes, hexadecimal.
    """

    path: Path
    content: bytes = field(repr=False)
    sha256: str


def sidecar_path(path: Path) -> Path:
    """The sidecar with the digest of a model: ``model.onnx.sha256`` beside ``model.onnx``."""
    return path.with_name(f"{path.name}.sha256")


def read_model(path: Path | str) -> ModelFile:
    """Read a model file.

    Raises:
        BundleError: The file is missing, empty, larger than 2 GiB, no plain file, of another digest than its sidecar
            says, or not self-contained (:func:`~dermtl.runtime.bundle.self_contained.check_self_contained`).
    """
    path = Path(path)
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    expected = _read_sidecar(sidecar_path(path))
    if expected is not None and digest != expected:
        raise BundleError(
            f"its sha256 is {digest[:12]}..., {sidecar_path(path).name} says {expected[:12]}...",
            where=str(path),
            hint="it was changed or damaged: copy both again, or export again",
        )
    check_self_contained(content, str(path))
    return ModelFile(path, content, digest)


def write_model(path: Path, content: bytes) -> None:
    """Write a model and its sidecar, each whole or not at all; a kill in between leaves a model without one.

    Raises:
        DataError: The model or its sidecar cannot be written.
    """
    sidecar_path(path).unlink(missing_ok=True)
    write_atomic(path, content)
    write_atomic(sidecar_path(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")


def _read(path: Path) -> bytes:
    where = str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BundleError("is a folder, expected a model.onnx", where=where, hint="dermtl export RUN writes one")
        if not stat.S_ISREG(status.st_mode):
            raise BundleError("is no plain file", where=where, hint="expected a model.onnx")
        if status.st_size > MAX_BYTES:
            raise BundleError(f"has {status.st_size} bytes, more than {MAX_BYTES}", where=where, hint=_AGAIN)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except FileNotFoundError:
        raise BundleError("no such file", where=where, hint="dermtl export RUN writes a model.onnx") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise BundleError(f"cannot be read: {error}", where=where, hint="check its path and its rights") from error
    if not content:
        raise BundleError("is empty", where=where, hint=_AGAIN)
    return content


def _read_sidecar(path: Path) -> str | None:
    """The digest in a sidecar; None if there is no sidecar."""
    try:
        text = path.read_text(encoding="ascii")[:4096]
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BundleError(f"cannot be read: {error}", where=str(path), hint=_AGAIN) from error
    digest = (text.split() or [""])[0].lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise BundleError("holds no sha256", where=str(path), hint="write it anew with sha256sum, or delete it")
    return digest
