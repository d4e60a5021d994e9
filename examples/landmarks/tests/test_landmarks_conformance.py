"""The conformance kit; tests of what only this head does belong beside it."""

from dermtl.testing import HeadConformance


class TestLandmarks(HeadConformance):
    head = "landmarks"
