"""Test-time augmentation: the mean answer over a picture and its three mirror images."""

from collections.abc import Mapping, Sequence

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.predict.predictor import Predictor
from dermtl.kinds import Kind

_FLIPS = (
    (slice(None), slice(None)),
    (slice(None), slice(None, None, -1)),
    (slice(None, None, -1), slice(None)),
    (slice(None, None, -1), slice(None, None, -1)),
)


class FlippedPredictor:
    """A predictor that is asked four times; outputs that have a place are those of the picture as it is.

    Args:
        predictor: Who is asked.
        kinds: Full output name to kind.
    """

    def __init__(self, predictor: Predictor, kinds: Mapping[str, Kind]) -> None:
        self._predictor = predictor
        self._placeless = [name for name, kind in kinds.items() if not kind.spatial]

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self._predictor.size

    def predict_values(self, images: Sequence[Array]) -> list[dict[str, Array]]:
        """Predict pictures, uint8 [H, W, 3] of any sizes, as every predictor does."""
        turned = [
            self._predictor.predict_values([np.ascontiguousarray(image[flip]) for image in images]) for flip in _FLIPS
        ]
        predictions = []
        for answers in zip(*turned, strict=True):
            means = {name: np.mean([answer[name] for answer in answers], axis=0) for name in self._placeless}
            predictions.append({**answers[0], **means})
        return predictions
