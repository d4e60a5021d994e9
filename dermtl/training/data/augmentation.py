"""The only file that knows albumentations, its random state and its half pixels.

What an augmentation did to the geometry is not asked of albumentations, whose keypoints follow no single convention.
It is read off the pixels: a picture that holds each pixel's own coordinates goes through the same transforms as a
mask, so every output pixel says where it came from. An affine map is fitted to that, with its largest misfit; circles
follow the map, masks follow the pixels, and neither can part from the picture.
"""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import ConfigError
from dermtl.imaging.affine import Affine
from dermtl.imaging.view import View
from dermtl.training.data.inscribed_rectangle import inscribed_crop

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations
import cv2

_FLIPS: list[dict[str, Any]] = [{"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}]
_COLOUR: dict[str, Any] = {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.8}
PRESETS: Mapping[str, list[dict[str, Any]]] = {
    "none": [],
    "light": [*_FLIPS, {"RandomBrightnessContrast": {"brightness_limit": 0.1, "contrast_limit": 0.1, "p": 0.5}}],
    "default": [
        *_FLIPS,
        {
            "Affine": {
                "scale": [0.8, 1.2],
                "translate_percent": [-0.08, 0.08],
                "rotate": [-180, 180],
                "balanced_scale": True,
                "keep_ratio": True,
                "p": 0.9,
            }
        },
        {"RandomBrightnessContrast": _COLOUR},
        {"HueSaturationValue": {"hue_shift_limit": 5, "sat_shift_limit": 20, "val_shift_limit": 0, "p": 0.5}},
    ],
    "strong": [
        *_FLIPS,
        {
            "Affine": {
                "scale": [0.7, 1.35],
                "translate_percent": [-0.1, 0.1],
                "rotate": [-180, 180],
                "balanced_scale": True,
                "keep_ratio": True,
                "p": 0.9,
            }
        },
        {
            "ColorJitter": {
                "brightness": [0.7, 1.3],
                "contrast": [0.7, 1.3],
                "saturation": [0.7, 1.3],
                "hue": [-0.04, 0.04],
                "p": 0.8,
            }
        },
        {
            "CoarseDropout": {
                "num_holes_range": [1, 3],
                "hole_height_range": [0.1, 0.25],
                "hole_width_range": [0.1, 0.25],
                "p": 0.4,
            }
        },
    ],
}


class InscribedRotation(albumentations.DualTransform):  # type: ignore[misc]
    """Turn by whole degrees, 0 to 359 alike, and crop the largest upright rectangle that holds only picture.

    The crop is letterboxed again, so circles stay circles. It belongs at the start of a list: an earlier move of the
    picture within its square is not seen.

    Source: Esteva et al. 2017.
    """

    _targets = (albumentations.core.type_definitions.Targets.IMAGE, albumentations.core.type_definitions.Targets.MASK)

    @property
    def targets_as_params(self) -> list[str]:
        """Where the picture lies in its square must be known."""
        return ["letterbox"]

    def get_params_dependent_on_data(self, params: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        """The map of one picture."""
        crop, (width, height) = inscribed_crop(data["letterbox"], self.py_random.randrange(360))
        return {"move": crop, "width": width, "height": height}

    def apply(self, img: Array, move: Affine, width: float, height: float, **params: Any) -> Array:
        """Move pixels, and blacken what lies outside the crop."""
        size = img.shape[0]
        half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])  # OpenCV counts from the first pixel's centre
        matrix = Affine(half).then(move).then(Affine(half).inverse()).matrix
        moved: Array = cv2.warpAffine(img, matrix, (size, size), flags=cv2.INTER_LINEAR)
        away = np.abs(np.arange(size) + 0.5 - size / 2)
        moved[away > height / 2] = 0
        moved[:, away > width / 2] = 0
        return moved

    def apply_to_mask(self, mask: Array, **params: Any) -> Array:
        """The only masks here are coordinates, which may be interpolated."""
        return self.apply(mask, **params)


_OWN: Mapping[str, Callable[..., Any]] = {"InscribedRotation": InscribedRotation}


class Augmentation:
    """A pipeline of albumentations on the letterboxed picture.

    Args:
        config: A preset's name, or a list of one-key mappings, albumentation or InscribedRotation to its arguments.
        where: Place of the config in the experiment file, for messages.

    Attributes:
        text: What pictures become follows from this and the seed.

    Raises:
        ConfigError: An unknown preset or albumentation, or arguments that it does not take.
    """

    def __init__(self, config: str | Sequence[Mapping[str, Any]], *, where: str = "") -> None:
        if isinstance(config, str):
            if config not in PRESETS:
                known = ", ".join(PRESETS)
                raise ConfigError(f"training.augmentation: unknown preset {config!r}; known: {known}", where=where)
            config = PRESETS[config]
        self.text = f"albumentations {albumentations.__version__}, OpenCV {cv2.__version__}, one stream: {config}"
        self._pipeline = albumentations.Compose([_build(step, where) for step in config]) if config else None

    @property
    def moves(self) -> bool:
        """Whether it changes pictures at all."""
        return self._pipeline is not None

    def __call__(self, image: Array, letterbox: View, seed: int, *, spatial: bool) -> tuple[Array, View]:
        """Augment one picture.

        Args:
            image: uint8 [S, S, 3], letterboxed.
            letterbox: The view that made it.
            seed: Everything random follows from this.
            spatial: Whether the geometry is needed.

        Returns:
            uint8 [S, S, 3], and the view from the source frame; the letterbox itself where ``spatial`` is false.
        """
        if self._pipeline is None:
            return image, letterbox
        # One stream for all transforms: set_random_seed would start each of them at the same first number, so that two
        # flips of probability 0.5 would only ever happen together.
        self._pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
        size = letterbox.size
        result = self._pipeline(
            image=image, letterbox=letterbox, **({"masks": [_coordinates(size)]} if spatial else {})
        )
        moved = result["image"]
        if moved.shape[:2] != (size, size):
            height, width = moved.shape[:2]
            raise ConfigError(
                f"training.augmentation: gives {width}x{height} pixels, the network takes {size}x{size}",
                hint="end the list with Resize, or crop to backbone.image_size",
            )
        if moved.dtype != np.uint8 or moved.shape[2:] != (3,):
            raise ConfigError(
                f"training.augmentation: gives {moved.dtype} {list(moved.shape)}, expected uint8 [{size}, {size}, 3]",
                hint="the network normalises by itself; take Normalize, ToFloat and the like out",
            )
        return moved, _view(result["masks"][0], letterbox) if spatial else letterbox


def _build(step: Any, where: str) -> Any:
    if not isinstance(step, Mapping) or len(step) != 1:
        got = list(step) if isinstance(step, Mapping) else step
        raise ConfigError(f"training.augmentation: expected one name a step, got {got!r}", where=where)
    ((name, arguments),) = step.items()
    kind: Callable[..., Any] | None = _OWN.get(name) or getattr(albumentations, name, None)
    if not (isinstance(kind, type) and issubclass(kind, albumentations.BasicTransform | albumentations.BaseCompose)):
        raise ConfigError(f"training.augmentation: albumentations has no {name!r}", where=where)
    if not isinstance(arguments, Mapping | None):
        raise ConfigError(f"training.augmentation: {name}: expected arguments, got {arguments!r}", where=where)
    arguments = dict(arguments or {})
    if isinstance(arguments.get("transforms"), list):
        arguments["transforms"] = [_build(inner, where) for inner in arguments["transforms"]]
    if issubclass(kind, albumentations.BasicTransform):
        arguments["strict"] = True  # an unknown argument would otherwise be a mere warning
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) and key != "transforms" else value
                       for key, value in arguments.items()})  # fmt: skip
    except Exception as error:
        raise ConfigError(f"training.augmentation: {name}: {error}", where=where) from error


def _coordinates(size: int) -> Array:
    """float32 [S, S, 3]: x and y of each pixel's centre, and 1, which tells real pixels from filled ones."""
    centres = np.arange(size, dtype=np.float32) + 0.5
    return np.dstack([*np.meshgrid(centres, centres), np.ones((size, size), np.float32)])


def _view(moved: Array, letterbox: View) -> View:
    """The view that a moved coordinate picture tells of."""
    size = letterbox.size
    real = moved[..., 2] == 1
    lookup = np.where(real[..., None], moved[..., :2], np.nan)
    rows, columns = np.nonzero(real)
    if len(rows) < 16:
        return View(letterbox.affine, size, letterbox.source_hw, float("inf"), np.full((size, size, 2), np.nan))
    step = max(1, len(rows) // 4096)
    after = np.stack([columns[::step] + 0.5, rows[::step] + 0.5], axis=1)
    before = moved[rows[::step], columns[::step], :2].astype(np.float64)
    backward, *_ = np.linalg.lstsq(np.column_stack([after, np.ones(len(after))]), before, rcond=None)
    augmented = Affine(backward.T).inverse()
    # Nearest sampling leaves up to half a pixel, which is not bending.
    misfit = np.abs(augmented.inverse().points(after) - before).max() - 0.5
    source = letterbox.affine.inverse().points(lookup)
    return View(letterbox.affine.then(augmented), size, letterbox.source_hw, max(0.0, float(misfit)), source)
