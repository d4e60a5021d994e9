"""All checks as one class, which pytest runs as it is."""

from collections.abc import Mapping
from typing import Any, ClassVar

from dermtl.testing.deployment import DeploymentChecks
from dermtl.testing.figures import FigureChecks
from dermtl.testing.keys import KeyChecks
from dermtl.testing.layers import LayerChecks
from dermtl.testing.losses import LossChecks
from dermtl.testing.parts import PartChecks
from dermtl.testing.runs import RunChecks
from dermtl.testing.subject import Subject
from dermtl.testing.truth import TruthChecks


class HeadConformance(
    RunChecks, DeploymentChecks, FigureChecks, LossChecks, LayerChecks, TruthChecks, KeyChecks, PartChecks
):
    """What every head must do. Subclass it, set ``head``, and name the subclass ``Test...``.

    Attributes:
        head: ``name`` or ``distribution:name`` of an installed head.
        config: Keys of its config beside those of ``HeadConfig.example()``, to check another mode of the head.
    """

    head: ClassVar[str] = ""
    config: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def setup_class(cls) -> None:
        """Find the head; pytest calls it."""
        cls.subject = Subject(cls.head, cls.config)

    @classmethod
    def teardown_class(cls) -> None:
        """Delete what the checks wrote; pytest calls it."""
        cls.subject.close()
