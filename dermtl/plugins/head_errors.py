"""Adds the name of a head to exceptions that its code raises."""

from collections.abc import Iterator
from contextlib import contextmanager

from dermtl.errors import DermtlError


@contextmanager
def head_errors(head: str, what: str) -> Iterator[None]:
    """Add a note with the head's name to every exception that is not one of dermtl's.

    Args:
        head: Name of the head whose code runs.
        what: The part that runs, such as ``its loss``.
    """
    try:
        yield
    except DermtlError:
        raise
    except Exception as error:
        error.add_note(f"raised by head {head!r}, {what}; dermtl plugins check TYPE tries all that a head has to do")
        raise
