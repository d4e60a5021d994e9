"""The contract of an importer. Knows no format.

An entry point in group ``dermtl.importers`` points at an object that fits :class:`Importer`; its name is the entry
point's. A third party's importer is found, named and preferred like the built-in ones.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dermtl.arrays import Array

GROUP = "dermtl.importers"


@dataclass(frozen=True)
class RenderedImage:
    """A picture that is no file of the source, such as a mask told as a polygon; it is written as PNG.

    Attributes:
        name: Path without suffix below the folder of written pictures, such as ``masks/0001``.
        draw: Gives uint8 [H, W] or [H, W, 3]; called once, perhaps in another thread.
    """

    name: str
    draw: Callable[[], Array]


Row = Mapping[str, str | Path | RenderedImage]
"""One picture: column to text, to a file of the source, or to a picture to be written.

``image`` is a file or a drawn picture. By custom the class is ``label``, an outline ``mask``, a circle ``cx``, ``cy``
and ``r``, and ids are ``patient_id`` and ``lesion_id``; everything else keeps its own name.
"""


class Importer(Protocol):
    """One layout. An optional attribute ``general = True`` has it asked only where no special one recognises a source.

    An optional method ``refuse_doubtful(source)`` raises where the source may be something else; it is called unless
    the format was named.

    Attributes:
        name: What ``--format`` calls it; the entry point's name.
        summary: One line for lists.
    """

    @property
    def name(self) -> str:
        """What ``--format`` calls it."""

    @property
    def summary(self) -> str:
        """One line for lists."""

    def recognises(self, source: Path) -> bool:
        """Whether the source looks like this layout: names and header lines only, no picture is opened.

        Args:
            source: A file or a folder that exists.
        """

    def read(self, source: Path) -> Iterable[Row]:
        """The rows; nothing is written, and a picture need not exist.

        Raises:
            DataError: The source breaks the layout; the message names file and row.
        """
