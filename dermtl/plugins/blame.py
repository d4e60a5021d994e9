"""Whose fault it is: what a plugin raises says of which head it came."""

from collections.abc import Iterator
from contextlib import contextmanager

from dermtl.errors import DermtlError


@contextmanager
def at_work(head: str, what: str) -> Iterator[None]:
    """While active, a head's own code runs; an exception of it ends with a line that names the head.

    Args:
        head: Its name.
        what: Which part of it, such as ``its loss``.
    """
    try:
        yield
    except DermtlError:
        raise
    except Exception as error:
        error.add_note(f"raised by head {head!r}, {what}; dermtl plugins check TYPE tries all that a head has to do")
        raise
