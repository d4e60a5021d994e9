"""The conformance kit; tests of what only this head does belong beside it."""

from dermtl.testing import HeadConformance


class TestAttentionPool(HeadConformance):
    head = "attention_pool"
