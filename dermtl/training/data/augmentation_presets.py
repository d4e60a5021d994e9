"""Presets of ``training.augmentation``, as lists of albumentations with their arguments."""

from collections.abc import Mapping
from typing import Any

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
