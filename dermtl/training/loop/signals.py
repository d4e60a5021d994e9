"""SIGINT and SIGTERM as a request to stop, which the loop fulfils after the current batch."""

import signal
from types import FrameType, TracebackType

from dermtl.errors import Interrupted


class StopSignals:
    """While active, stores signals instead of ending the process; a second signal interrupts at once.

    Attributes:
        caught: Number of the signal that was received, if any.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._store)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _store(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            raise KeyboardInterrupt
        self.caught = number

    def set_caught(self) -> None:
        """Stop as if by SIGTERM, because another process of the run received a signal."""
        self.caught = self.caught or signal.SIGTERM

    def raise_if_caught(self, where: str) -> None:
        """Raise :class:`~dermtl.errors.Interrupted` if a signal was received."""
        if self.caught is not None:
            error = Interrupted(
                f"stopped by {signal.Signals(self.caught).name}", where=where, hint="go on with --resume"
            )
            error.exit_code = 128 + self.caught
            raise error
