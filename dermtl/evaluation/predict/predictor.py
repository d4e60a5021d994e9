"""What evaluation needs of a model, whether it is a run or an exported file."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from dermtl.arrays import Array
from dermtl.runtime.predictor import Model


class Predictor(Protocol):
    """Pictures in, source-frame values out."""

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""

    def predict_values(self, images: Sequence[Array]) -> Sequence[Mapping[str, Array]]:
        """Predict pictures.

        Args:
            images: uint8 [H, W, 3] of any sizes.

        Returns:
            For each picture, full output name to value, source frame.
        """


class ModelPredictor:
    """An exported model as a :class:`Predictor`."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def size(self) -> int:
        """See :class:`Predictor`."""
        return self._model.bundle.size

    def predict_values(self, images: Sequence[Array]) -> Sequence[Mapping[str, Array]]:
        """See :class:`Predictor`."""
        return [prediction.values for prediction in self._model.predict_batch(images)]
