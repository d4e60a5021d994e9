"""What frozen layers gave, on disk: a later run of the same layers on the same pictures finds it again.

A file's name follows from all that its content depends on: the layers' weights and what they answer on a trial, the
pictures and their truths, the augmentation and its seed, and the versions of what computes. It is written whole or not
at all, and one that cannot be read counts as absent.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

import dermtl
from dermtl.data.cache import pictures_key
from dermtl.errors import DataError
from dermtl.model.checkpoint import save_weights
from dermtl.training.dataset import Examples
from dermtl.training.frozen import FrozenLayers

_log = logging.getLogger(__name__)


def kept_file(folder: Path, frozen: FrozenLayers, examples: Examples, views: int) -> Path:
    """Where the outputs of these layers for these examples lie.

    Args:
        folder: Of caches.
        frozen: The layers.
        examples: The records; their truths are read.
        views: How many differently augmented pictures of each record.
    """
    digest = hashlib.blake2b(digest_size=20)
    pictures = pictures_key(examples.records, examples.size)
    said: list[object] = [dermtl.__version__, torch.__version__, pictures, examples.kinds]
    if examples.augmentation is not None:
        said += [examples.augmentation.text, examples.seed, views]
    digest.update(repr(said).encode())
    digest.update(frozen.digest)
    for record in examples.records:
        for kind in examples.kinds.values():
            truth = kind.read(record)
            digest.update(b"\0" if truth is None else truth.tobytes())
    return folder / f"{digest.hexdigest()}.frozen.safetensors"


def read_kept(path: Path) -> dict[str, Tensor] | None:
    """What :func:`write_kept` wrote; None where there is nothing that can be read."""
    try:
        return safetensors.torch.load(path.read_bytes())
    except (OSError, ValueError, safetensors.SafetensorError):
        return None


def write_kept(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the outputs; a full disk only costs the keeping."""
    try:
        save_weights(path, tensors)
    except DataError as error:
        _log.warning("what frozen layers give was not kept on disk: %s", error)
