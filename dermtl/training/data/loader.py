"""Batches from a PyTorch data loader, with or without worker processes."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from dermtl.errors import DermtlError
from dermtl.training.data.batch_order import BatchOrder
from dermtl.training.data.dataset import Batch, Examples, collate

_GRACE_S = 20  # seconds that a worker continues after a signal


def load_batches(examples: Examples, order: BatchOrder, *, workers: int = 0, pin_memory: bool = False) -> "Batches":
    """Batches in an order; may be iterated many times, each time over the order's current epoch.

    Args:
        examples: Examples to read.
        order: Which records make up each batch.
        workers: Number of processes that read and augment; 0: this process does.
        pin_memory: Whether batches are moved into page-locked memory, which a GPU copies faster.

    Raises:
        DermtlError: While iterating, if an example raised it, in whichever process.
    """
    return Batches(
        DataLoader(
            examples,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            worker_init_fn=_set_up_worker,
        )
    )


class Batches:
    """A loader that raises the errors that its workers return."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            if isinstance(batch, DermtlError):
                raise batch
            yield batch

    def close(self) -> None:
        """End the worker processes."""
        running = getattr(self._loader, "_iterator", None)
        if self._loader.num_workers and running is not None:
            running._shutdown_workers()  # torch calls it only when the iterator is garbage collected


def _set_up_worker(worker: int) -> None:
    """Use one thread, and leave signals to the parent process."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait_for_parent(number: int, frame: object) -> None:
        """Some schedulers signal every process; the parent finishes its batch first and then ends this worker."""
        for later in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(later, lambda number, frame: os._exit(0))
        signal.alarm(_GRACE_S)

    signal.signal(signal.SIGTERM, wait_for_parent)
