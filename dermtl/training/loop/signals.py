"""SIGINT and SIGTERM as a wish to stop, which the loop grants after the batch at hand."""

import signal
from types import FrameType, TracebackType

from dermtl.errors import DermtlError


class Interrupted(DermtlError):
    """Training stopped on a signal; the run can be resumed.

    Attributes:
        exit_code: 128 plus the signal's number.
    """

    exit_code: int = 130


class StopSignals:
    """While active, notes the signals instead of dying of them; a second one interrupts at once."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            raise KeyboardInterrupt
        self.caught = number

    def agree(self) -> None:
        """Another process of the run was asked to stop, if this one was not."""
        self.caught = self.caught or signal.SIGTERM

    def raise_if_caught(self, where: str) -> None:
        """Raise :class:`Interrupted` when a signal came."""
        if self.caught is not None:
            error = Interrupted(
                f"stopped by {signal.Signals(self.caught).name}", where=where, hint="go on with --resume"
            )
            error.exit_code = 128 + self.caught
            raise error
