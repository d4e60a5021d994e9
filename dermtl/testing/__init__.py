"""The conformance kit: the contract of a head as tests that run on any head.

In a plugin's own tests::

    from dermtl.testing import HeadConformance

    class TestFreckle(HeadConformance):
        head = "freckle"

``dermtl plugins check freckle`` runs the same without a test file.
"""

from dermtl.testing.assertions import check
from dermtl.testing.conformance import HeadConformance
from dermtl.testing.run import Finding, check_head

__all__ = ["Finding", "HeadConformance", "check", "check_head"]
