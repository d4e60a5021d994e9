"""All checks as one class for pytest."""

from collections.abc import Mapping
from typing import Any, ClassVar

from dermtl.testing.annotations import AnnotationChecks
from dermtl.testing.config import ConfigChecks
from dermtl.testing.deployment import DeploymentChecks
from dermtl.testing.head_under_test import HeadUnderTest
from dermtl.testing.imports import ImportChecks
from dermtl.testing.layers import LayerChecks
from dermtl.testing.losses import LossChecks
from dermtl.testing.metrics import MetricChecks
from dermtl.testing.training import TrainingChecks


class HeadConformance(
    TrainingChecks,
    DeploymentChecks,
    MetricChecks,
    LossChecks,
    LayerChecks,
    AnnotationChecks,
    ConfigChecks,
    ImportChecks,
):
    """The checks of a head. Subclass it, set ``head``, and name the subclass ``Test...``.

    Attributes:
        head: ``name`` or ``distribution:name`` of an installed head.
        config: Keys of its config beside those of ``HeadConfig.example()``, to check another mode of the head.
    """

    head: ClassVar[str] = ""
    config: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def setup_class(cls) -> None:
        """Find the head; pytest calls it."""
        cls.subject = HeadUnderTest(cls.head, cls.config)

    @classmethod
    def teardown_class(cls) -> None:
        """Delete what the checks wrote; pytest calls it."""
        cls.subject.close()
