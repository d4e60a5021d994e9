"""Weights and training state on disk. Never pickle: safetensors, and torch files read with ``weights_only``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from dermtl.errors import CheckpointError, DataError
from dermtl.files.atomic import new_version


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict as safetensors; the file is either the old one or the whole new one.

    Raises:
        DataError: The file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with new_version(path) as draft, _write_errors(path):
        safetensors.torch.save_file(tensors, draft)


def load_weights(path: Path, network: nn.Module) -> None:
    """Load weights that :func:`save_weights` wrote.

    Raises:
        CheckpointError: The file is missing, damaged, or does not fit the network.
    """
    try:
        state = safetensors.torch.load(path.read_bytes())
        network.load_state_dict(state)
    except (OSError, RuntimeError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot load these weights: {_line(error)}", where=str(path)) from error


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state: tensors, numbers, strings, lists and dicts of these.

    Raises:
        DataError: The file cannot be written.
    """
    with new_version(path) as draft, _write_errors(path):
        torch.save(dict(state), draft)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state that :func:`save_state` wrote.

    Raises:
        CheckpointError: The file is missing, damaged, or holds anything but plain values and tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"cannot resume from this file: {_line(error)}", where=str(path)) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"cannot resume from this file: it holds a {type(state).__name__}", where=str(path))
    return state


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turn what these libraries raise if a file cannot be written, which is no ``OSError``, into a DataError."""
    try:
        yield
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise DataError(
            f"cannot be written: {_line(error)}",
            where=str(path),
            hint="free some space if the disk is full; an older file is kept",
        ) from error


def _line(error: Exception) -> str:
    """The first line of an exception's message, or its type if it has none."""
    return (str(error) or type(error).__name__).splitlines()[0]
