"""Answers averaged over mirror images."""

import numpy as np

from dermtl.evaluation.predict.test_time_augmentation import FlippedPredictor
from dermtl.kinds import Category, Circle

KINDS = {"diagnosis.probability": Category(("left", "right")), "extent.circle": Circle()}


class Sided:
    """Says how bright the left half is, and where the picture's brightest pixel lies."""

    size = 8

    def predict_values(self, images):
        found = []
        for image in images:
            light = image[..., 0] / 255.0
            half = light.shape[1] // 2
            y, x = np.unravel_index(light.argmax(), light.shape)
            probability = np.array([light[:, :half].mean(), light[:, half:].mean()])
            found.append({"diagnosis.probability": probability, "extent.circle": np.array([x, y, 1.0])})
        return found


def test_sides_even_out_and_places_stay() -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    image[1, 2] = 255
    plain = Sided().predict_values([image])[0]
    (found,) = FlippedPredictor(Sided(), KINDS).predict_values([image])
    assert plain["diagnosis.probability"][1] == 0
    np.testing.assert_allclose(found["diagnosis.probability"], plain["diagnosis.probability"].mean())
    assert np.array_equal(found["extent.circle"], plain["extent.circle"])


def test_a_symmetric_picture_is_answered_as_before() -> None:
    images = [np.full((5, 7, 3), 80, np.uint8), np.full((4, 4, 3), 9, np.uint8)]
    plain, found = Sided().predict_values(images), FlippedPredictor(Sided(), KINDS).predict_values(images)
    for one, other in zip(plain, found, strict=True):
        assert {name: value.tolist() for name, value in one.items()} == {n: v.tolist() for n, v in other.items()}
