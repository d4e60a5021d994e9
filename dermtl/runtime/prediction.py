"""The prediction of a model for one picture, in the source frame.

Knows kinds, and nothing of files, sessions or heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.errors import InputError
from dermtl.kinds.kind import Kind
from dermtl.kinds.mask import Mask
from dermtl.runtime.decision import Decisions


@dataclass(frozen=True)
class Prediction:
    """The outputs for one picture.

    Attributes:
        image_hw: Height and width of the picture in pixels.
        values: Output name, ``<head>.<output>``, to float32 array of the kind's shape, source frame.
        kinds: Output name to kind.
        decisions: The frozen decisions of the model.
    """

    image_hw: tuple[int, int]
    values: Mapping[str, Array]
    kinds: Mapping[str, Kind] = field(repr=False)
    decisions: Decisions = field(default_factory=Decisions, repr=False)

    def __getitem__(self, name: str) -> Any:
        """The array of an output, ``"diagnosis.probability"``, or the JSON block of a head, ``"diagnosis"``.

        Raises:
            KeyError: There is neither.
        """
        if name in self.values:
            return self.values[name]
        blocks = {
            output.removeprefix(f"{name}."): self.kinds[output].to_json(value)
            for output, value in self.values.items()
            if output.startswith(f"{name}.")
        }
        if not blocks:
            raise KeyError(f"{name!r}; the outputs are {', '.join(self.values)}")
        keys = [key for block in blocks.values() for key in block]
        if len(keys) != len(set(keys)):  # several outputs of one kind: they stay apart under their names
            return {**blocks, **self._decided(name)}
        merged = {key: content for block in blocks.values() for key, content in block.items()}
        return {**merged, **self._decided(name)}

    def _decided(self, head: str) -> dict[str, Any]:
        """``decision`` (name to outcome, score and threshold) and ``set`` (classes), if the head has them."""
        wanted = self.decisions.outputs_of(head)
        columns = {name: self.kinds[name].columns(value) for name, value in self.values.items() if name in wanted}
        return self.decisions.outcomes(head, columns)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Head to its block, in plain JSON types."""
        return {head: self[head] for head in dict.fromkeys(name.partition(".")[0] for name in self.values)}

    def columns(self) -> dict[str, float]:
        """Column to number: ``diagnosis.probability.mel``, ``extent.circle.cx``, ``diagnosis.decision.mel``."""
        columns = {name: self.kinds[name].columns(value) for name, value in self.values.items()}
        numbers = {f"{name}.{column}": number for name, inner in columns.items() for column, number in inner.items()}
        return numbers | self.decisions.columns(columns)

    def draw(self, image: Array) -> Array:
        """The picture with every output drawn onto it: masks, then shapes, then text.

        Args:
            image: uint8 [H, W, 3], the picture that was predicted.

        Returns:
            uint8 [H, W, 3], a new array.

        Raises:
            InputError: The picture has another size.
        """
        if image.dtype != np.uint8 or image.shape != (*self.image_hw, 3):
            expected = [*self.image_hw, 3]
            raise InputError(f"expected the predicted picture, uint8 {expected}, got {image.dtype} {list(image.shape)}")
        canvas = Image.fromarray(image)
        for name in sorted(self.values, key=lambda name: _depth(self.kinds[name])):
            canvas = self.kinds[name].draw(canvas, self.values[name])
        return np.array(canvas)


def _depth(kind: Kind) -> int:
    """Order of drawing: larger areas first."""
    if isinstance(kind, Mask):
        return 0
    return 1 if kind.spatial else 2
