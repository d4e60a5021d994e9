"""The conformance kit; tests of what only this head does belong beside it."""

from dermtl.testing import HeadConformance


class TestOrdinal(HeadConformance):
    head = "ordinal"
