"""Pictures with what a head's answers depend on, as whoever can explain a model hands them to the report.

Explaining needs a network's gradients, of which nothing is known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.files.table import write_table


@dataclass(frozen=True)
class Method:
    """How maps were made, and whether they can be trusted.

    Attributes:
        title: Name of the method, for people.
        pixels: How much its maps agree with those of random weights, as rank correlation, 0..1; by pixels.
        regions: Rank correlation with maps of random weights as in ``pixels``, by regions.
        outcome: What follows from that.
    """

    title: str
    pixels: float
    regions: float
    outcome: str


@dataclass(frozen=True)
class Case:
    """A picture without its name.

    Attributes:
        name: ``case-01``.
        image: Name of the picture in the table; never shown.
        answer: What is explained, with its probability.
        truth: What is true.
        loss: Minus the log of the probability of what is true.
        pictures: Title to the data URL of a drawing; first the picture itself.
    """

    name: str
    image: str
    answer: str
    truth: str
    loss: float
    pictures: Mapping[str, str]


@dataclass(frozen=True)
class Explained:
    """One head's.

    Attributes:
        cases: Highest loss first.
        methods: All that were tried.
        limit: Above this agreement with random weights a method's maps are not shown.
        missing: Why a method could not be tried; empty where all were.
    """

    cases: Sequence[Case]
    methods: Sequence[Method]
    limit: float
    missing: str = ""


def write_names(path: Path, explained: Mapping[str, Explained]) -> None:
    """Write the table that tells whose pictures the cases are: head, case, image."""
    rows = ((head, case.name, case.image) for head, found in explained.items() for case in found.cases)
    write_table(path, ("head", "case", "image"), rows)
