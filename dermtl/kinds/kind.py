"""The contract of a kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

from PIL import Image

from dermtl.arrays import Array
from dermtl.imaging.letterbox import Frame
from dermtl.imaging.view import View
from dermtl.kinds.record import Record


class Kind(ABC):
    """A kind of annotation and output. Subclasses are frozen dataclasses of plain values.

    The *annotation* is the truth in the source frame, the *target* is the same in the network frame; both are arrays.
    A *value* is one output for one picture; :meth:`restore` brings it to the source frame.

    Attributes:
        kind: Name of the kind in the metadata of a model.
        spatial: Whether annotations move with the picture.
    """

    kind: ClassVar[str]
    spatial: ClassVar[bool] = False

    @abstractmethod
    def read(self, record: Record) -> Array | None:
        """The record's annotation, or None if the record has none.

        Raises:
            AnnotationError: The cells cannot be understood.
        """

    def encode(self, annotation: Array, view: View) -> Array | None:
        """The target of an annotation in a view, always of one shape; None if the view no longer shows it.

        Raises:
            AnnotationError: Annotations of this kind cannot be moved by the view.
        """
        return annotation

    def restore(self, value: Any, frame: Frame) -> Any:
        """Bring an output, [..., *shape], from the network frame to the source frame.

        Use only ``frame``, arithmetic and indexing: inside the exported graph the arrays are tensors.
        """
        return value

    @property
    @abstractmethod
    def shape(self) -> tuple[int | str, ...]:
        """Shape of one value; ``"H"`` and ``"W"`` stand for the picture's height and width."""

    @abstractmethod
    def to_json(self, value: Array) -> dict[str, Any]:
        """A value in plain JSON types."""

    @abstractmethod
    def columns(self, value: Array) -> dict[str, float]:
        """A value as one number per column, for tables."""

    def truth_columns(self, annotation: Array) -> Mapping[str, float | str]:
        """An annotation as one number or text per column, for tables.

        Default: the columns of a value, for kinds whose annotations have the form of values.
        """
        return self.columns(annotation)

    @abstractmethod
    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """The picture (RGB) with the value drawn onto it."""

    def perfect_value(self, annotation: Array) -> Array:
        """The value of a prediction without error for an annotation or target; by default the annotation itself."""
        return annotation

    def core_kind(self) -> "Kind":
        """The kind of dermtl that replaces this one in a model file: same shape, geometry and columns; default: itself.

        A plugin's kind names one of dermtl's kinds, so that a model file is understood if the plugin is not installed.
        """
        return self

    def metadata(self) -> dict[str, Any]:
        """Everything :meth:`from_metadata` needs, in plain JSON types."""
        kind = self.core_kind()
        return {"kind": kind.kind, **asdict(kind)}  # type: ignore[call-overload]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Rebuild a kind from a model's metadata."""
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in metadata.items()}
        values.pop("kind", None)
        return cls(**values)
