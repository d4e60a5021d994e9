"""Augmentation with albumentations; the only file that imports it.

The geometry of an augmentation is not taken from albumentations, whose keypoints follow no single convention, but read
off the pixels: a picture with the coordinates of each pixel goes through the same transforms as a mask, so every output
pixel states where it came from. An affine map is fitted to these coordinates, and its largest error is stored. Circles
follow the map and masks follow the pixels, so both stay with the picture.
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
from dermtl.training.data.augmentation_presets import PRESETS
from dermtl.training.data.inscribed_rectangle import inscribed_crop

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations
import cv2


class InscribedRotation(albumentations.DualTransform):  # type: ignore[misc]
    """Rotate by whole degrees, uniformly from 0 to 359, and crop the largest upright rectangle inside the picture.

    The crop is letterboxed again, so circles stay circles. It has to be the first transform of a list: it does not see
    how earlier ones moved the picture in its square.

    Source: Esteva et al. 2017.
    """

    _targets = (albumentations.core.type_definitions.Targets.IMAGE, albumentations.core.type_definitions.Targets.MASK)

    @property
    def targets_as_params(self) -> list[str]:
        """The letterbox, which states where the picture is in its square."""
        return ["letterbox"]

    def get_params_dependent_on_data(self, params: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        """The map for one picture, and the size of its crop."""
        crop, (width, height) = inscribed_crop(data["letterbox"], self.py_random.randrange(360))
        return {"move": crop, "width": width, "height": height}

    def apply(self, img: Array, move: Affine, width: float, height: float, **params: Any) -> Array:
        """Move pixels, and blacken all outside the crop."""
        size = img.shape[0]
        half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])  # OpenCV counts from the first pixel's centre
        matrix = Affine(half).then(move).then(Affine(half).inverse()).matrix
        moved: Array = cv2.warpAffine(img, matrix, (size, size), flags=cv2.INTER_LINEAR)
        away = np.abs(np.arange(size) + 0.5 - size / 2)
        moved[away > height / 2] = 0
        moved[:, away > width / 2] = 0
        return moved

    def apply_to_mask(self, mask: Array, **params: Any) -> Array:
        """Move coordinates, the only masks here, with interpolation."""
        return self.apply(mask, **params)


_CUSTOM: Mapping[str, Callable[..., Any]] = {"InscribedRotation": InscribedRotation}


class Augmentation:
    """A pipeline of albumentations on the letterboxed picture.

    Args:
        config: Name of a preset, or a list of mappings with one key each, a transform's name, and its arguments.
        where: Position of the config in the experiment file, for messages.

    Attributes:
        text: Versions and arguments that, with the seed, determine the augmented pictures.

    Raises:
        ConfigError: The preset or a transform is unknown, or a transform does not accept its arguments.
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
        """Whether it has any transform."""
        return self._pipeline is not None

    def __call__(self, image: Array, letterbox: View, seed: int, *, spatial: bool) -> tuple[Array, View]:
        """Augment one picture.

        Args:
            image: Letterboxed picture, uint8 [S, S, 3].
            letterbox: View of the letterbox.
            seed: Seed of everything random.
            spatial: Whether the geometry is needed.

        Returns:
            uint8 [S, S, 3], and the view from the source frame to it; if not ``spatial``, the letterbox itself.
        """
        if self._pipeline is None:
            return image, letterbox
        # One stream for all transforms: with set_random_seed each of them would draw the same first number, so that two
        # flips of probability 0.5 would always happen together.
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
        raise ConfigError(f"training.augmentation: expected one name per step, got {got!r}", where=where)
    ((name, arguments),) = step.items()
    kind: Callable[..., Any] | None = _CUSTOM.get(name) or getattr(albumentations, name, None)
    if not (isinstance(kind, type) and issubclass(kind, albumentations.BasicTransform | albumentations.BaseCompose)):
        raise ConfigError(f"training.augmentation: albumentations has no {name!r}", where=where)
    if not isinstance(arguments, Mapping | None):
        raise ConfigError(f"training.augmentation: {name}: expected arguments, got {arguments!r}", where=where)
    arguments = dict(arguments or {})
    if isinstance(arguments.get("transforms"), list):
        arguments["transforms"] = [_build(inner, where) for inner in arguments["transforms"]]
    if issubclass(kind, albumentations.BasicTransform):
        arguments["strict"] = True  # otherwise an unknown argument is only a warning
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) and key != "transforms" else value
                       for key, value in arguments.items()})  # fmt: skip
    except Exception as error:
        raise ConfigError(f"training.augmentation: {name}: {error}", where=where) from error


def _coordinates(size: int) -> Array:
    """X and y of each pixel's centre, and 1, which distinguishes real pixels from filled ones; float32 [S, S, 3]."""
    centres = np.arange(size, dtype=np.float32) + 0.5
    return np.dstack([*np.meshgrid(centres, centres), np.ones((size, size), np.float32)])


def _view(moved: Array, letterbox: View) -> View:
    """The view that belongs to a moved picture of coordinates."""
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
    # Nearest-neighbour sampling is up to half a pixel off, which is no bending.
    misfit = np.abs(augmented.inverse().points(after) - before).max() - 0.5
    source = letterbox.affine.inverse().points(lookup)
    return View(letterbox.affine.then(augmented), size, letterbox.source_hw, max(0.0, float(misfit)), source)
