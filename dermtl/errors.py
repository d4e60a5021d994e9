"""Every fault a user can cause, as one tree.

    DermtlError
    ├── ConfigError          a key of the experiment file
    ├── PluginError
    │   ├── PluginNotFound   no head of that name is installed
    │   ├── PluginConflict   two distributions bring the same name
    │   └── PluginContract   the plugin breaks the contract, or fails to import
    ├── DataError
    │   ├── ManifestError    the table itself
    │   ├── ImageReadError   one picture
    │   ├── AnnotationError  one cell of one record
    │   └── LeakageError     a group on both sides of a split
    ├── TrainingError
    │   └── NonFiniteLoss
    ├── Interrupted          a training that a signal stopped; it can be resumed
    ├── ExportError          the network cannot be exported
    ├── BundleError          a model file that cannot be trusted or understood
    ├── CheckpointError      weights or a resume state that cannot be read
    ├── InputError           an array of the wrong shape or type
    └── MissingExtra         a command needs an optional dependency

A message says what is wrong and where, what was expected and what was found; the hint is the next step.
Programming faults stay ``TypeError`` and ``ValueError``. This module imports nothing of dermtl.
"""

from enum import Enum


class DermtlError(Exception):
    """A fault the user can mend.

    Args:
        message: What is wrong; expected and got.
        where: The place: ``file:line:column``, a manifest row, a file.
        hint: The next step.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message, where, hint)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        located = f"{self.where}: {self.message}" if self.where else self.message
        return f"{located} ({self.hint})" if self.hint else located

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.where, self.hint)


def _rebuild(kind: type[DermtlError], message: str, where: str, hint: str) -> DermtlError:
    """Rebuild an error that crossed a process boundary: data-loader workers pickle what they raise."""
    return kind(message, where=where, hint=hint)


class ConfigError(DermtlError):
    """A key of the experiment file is unknown, missing or has a wrong value."""


class PluginError(DermtlError):
    """A plugin cannot be used."""


class PluginNotFound(PluginError):
    """No installed distribution brings a plugin of this name."""


class PluginConflict(PluginError):
    """Several installed distributions bring a plugin of this name."""


class PluginContract(PluginError):
    """A plugin fails to import or breaks the contract of its group."""


class DataError(DermtlError):
    """The data cannot be used as they are."""


class ManifestError(DataError):
    """The manifest is missing, malformed or lacks a column."""


class ImageFault(Enum):
    """Why a picture cannot be read, for programs; messages are for people and may be reworded."""

    UNREADABLE = "damaged, of a refused format, or cannot be opened"
    MISSING = "no such file"
    TOO_LARGE = "too many pixels, or a side too long"
    SEVERAL_FRAMES = "a sequence, not one picture"
    COLOURED = "a mask with channels that differ"
    RANGE = "values outside the range that its form has"


class ImageReadError(DataError):
    """A picture is missing, unreadable, truncated, too large or of a refused format.

    Args:
        message: What is wrong, as in :class:`DermtlError`.
        where: File, row or key at fault.
        hint: The next step.
        reason: Kind of the fault.
    """

    def __init__(
        self, message: str, *, where: str = "", hint: str = "", reason: ImageFault = ImageFault.UNREADABLE
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"reason": self.reason})


class AnnotationError(DataError):
    """A record's annotation cannot be understood."""


class LeakageError(DataError):
    """A group stands on more than one side of a split."""


class TrainingError(DermtlError):
    """Training cannot start or go on."""


class NonFiniteLoss(TrainingError):
    """A loss became NaN or infinite."""


class Interrupted(DermtlError):
    """Training was stopped by a signal; the run can be resumed.

    Attributes:
        exit_code: 128 plus the number of the signal.
    """

    exit_code: int = 130


class ExportError(DermtlError):
    """The network cannot be exported."""


class BundleError(DermtlError):
    """A model file is unreadable, was not made by dermtl, or is of an unknown version."""


class CheckpointError(DermtlError):
    """Weights or a resume state are missing, damaged or of another network."""


class InputError(DermtlError):
    """An array has the wrong shape, type or number of channels."""


class MissingExtra(DermtlError):
    """A command needs an optional dependency that is not installed."""
