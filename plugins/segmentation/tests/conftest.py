"""Fixtures of the conformance kit."""

from dermtl.testing.graph import exported_difference, one_thread

__all__ = ["exported_difference", "one_thread"]
