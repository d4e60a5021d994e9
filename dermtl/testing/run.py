"""The checks without pytest, for ``dermtl plugins check``."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from unittest import SkipTest

from dermtl.testing.conformance import HeadConformance
from dermtl.testing.head_under_test import HeadUnderTest

_PREFIX = "test_"


class Finding(NamedTuple):
    """One check and how it went.

    Attributes:
        check: Name of the check in words.
        state: ok, failed or skipped.
        reason: Why it is not ok.
        seconds: How long it took.
    """

    check: str
    state: str
    reason: str
    seconds: float


def check_names() -> list[str]:
    """Names of all checks, the cheap ones first."""
    found: dict[str, None] = {}
    for kind in reversed(HeadConformance.__mro__):
        found |= dict.fromkeys(name for name in vars(kind) if name.startswith(_PREFIX))
    return [name.removeprefix(_PREFIX) for name in found]


def check_head(head: str, *, only: tuple[str, ...] = (), config: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """Put a head through the checks, one after the other.

    Args:
        head: ``name`` or ``distribution:name`` of an installed head.
        only: Names of checks, without ``test_``; default: all.
        config: Keys beside those of its example config.

    Raises:
        PluginError: No such head can be loaded.
    """
    subject = HeadUnderTest(head, config)
    try:
        checks = HeadConformance()
        checks.subject = subject  # of this one alone, where pytest has one a class
        for name in only or check_names():
            begun = time.monotonic()
            state, reason = _run(getattr(checks, _PREFIX + name))
            yield Finding(name.replace("_", " "), state, reason, round(time.monotonic() - begun, 2))
    finally:
        subject.close()


def _run(check: Any) -> tuple[str, str]:
    try:
        check()
    except SkipTest as skip:
        return ("skipped", str(skip)) if str(skip) else ("failed", "is skipped without a reason")
    except AssertionError as error:
        return "failed", " ".join(str(error).split())
    except (Exception, SystemExit) as error:  # noqa: BLE001  a head may fail in any way
        return "failed", " ".join(f"{type(error).__name__}: {error}".split())
    return "ok", ""
