"""Laying one picture over another of the same content: turned, perhaps mirrored, slightly scaled and shifted.

Works on grey thumbnails of the central square, 128 pixels a side, in coordinates from their centre. Knows no file.
"""

import numpy as np
from PIL import Image

from dermtl.arrays import Array

SIDE = 128
_CENTRE = (SIDE - 1) / 2
_STEPS = 12  # Gauss-Newton steps at most, for each band
_STILL_PX = 0.01  # a step that moves no pixel further ends the search
_BANDS = ((2.0, 6.0), (1.0, 3.0))  # Gaussians whose difference is aligned, in pixels: first coarse, then fine

_Y, _X = np.mgrid[:SIDE, :SIDE] - _CENTRE
DISC: Array = np.hypot(_X, _Y) < 0.8 * SIDE / 2
"""bool [128, 128]: what a turned picture shares with the original, without its empty corners."""
_XS, _YS = _X[DISC], _Y[DISC]
_FREQUENCY = -2 * np.pi**2 * (np.fft.fftfreq(SIDE)[:, None] ** 2 + np.fft.rfftfreq(SIDE)[None] ** 2)


def thumbnail(image: Array) -> Array:
    """Grey thumbnail of the central square.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        uint8 [128, 128].
    """
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    grey = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    return np.asarray(grey)


def smooth(image: Array, sigma_px: float) -> Array:
    """Gaussian blur of a [128, 128] array that wraps around its edges."""
    return np.asarray(np.fft.irfft2(np.fft.rfft2(image) * np.exp(_FREQUENCY * sigma_px**2), s=(SIDE, SIDE)))


def band_pass(image: Array, fine_px: float, coarse_px: float) -> Array:
    """Difference of two Gaussian blurs of a [128, 128] array."""
    transfer = np.exp(_FREQUENCY * fine_px**2) - np.exp(_FREQUENCY * coarse_px**2)
    return np.asarray(np.fft.irfft2(np.fft.rfft2(image) * transfer, s=(SIDE, SIDE)))


def lay_over(one: Array, other: Array, angle: float, *, is_mirrored: bool) -> Array:
    """The other thumbnail in the pose of the one, by least squares over rotation, scale, shift and contrast.

    Args:
        one: uint8 [128, 128].
        other: uint8 [128, 128].
        angle: First guess: radians by which the other, after mirroring, is turned against the one.
        is_mirrored: Whether the other is mirrored, left to right.

    Returns:
        float64 [128, 128].

    Source: Lucas and Kanade 1981; Baker and Matthews 2004, doi 10.1023/B:VISI.0000011205.11775.fd.
    """
    if is_mirrored:
        other = other[:, ::-1]
    pose = np.array([np.cos(angle), np.sin(angle), 0.0, 0.0])  # scaled cosine and sine, shift in x and y
    for fine, coarse in _BANDS:
        target, source = band_pass(one, fine, coarse)[DISC], band_pass(other, fine, coarse)
        layers = np.stack([source, *np.gradient(source)[::-1]])
        for _ in range(_STEPS):
            moved, in_x, in_y = _sample(layers, pose, _XS, _YS)
            gain = float(target @ moved) / max(float(moved @ moved), 1e-9)
            slopes = gain * np.stack([in_x * _XS + in_y * _YS, in_y * _XS - in_x * _YS, in_x, in_y])
            system = np.stack([*slopes, moved])
            step = np.linalg.lstsq(system @ system.T, system @ (target - gain * moved), rcond=None)[0][:4]
            pose += step
            if max(np.abs(step[:2]).max() * SIDE / 2, np.abs(step[2:]).max()) < _STILL_PX:
                break
    laid = _sample(np.asarray(other, np.float64)[None], pose, _X.ravel(), _Y.ravel())[0]
    return np.asarray(laid.reshape(SIDE, SIDE))


def _sample(layers: Array, pose: Array, xs: Array, ys: Array) -> Array:
    """Bilinear values of [n, 128, 128] layers where a pose puts some points; [n, number of points]."""
    x = np.clip(pose[0] * xs - pose[1] * ys + pose[2] + _CENTRE, 0, SIDE - 1.001)
    y = np.clip(pose[1] * xs + pose[0] * ys + pose[3] + _CENTRE, 0, SIDE - 1.001)
    column, row = x.astype(np.intp), y.astype(np.intp)
    dx, dy, flat = x - column, y - row, layers.reshape(len(layers), -1)
    corner = row * SIDE + column
    above = flat[:, corner] * (1 - dx) + flat[:, corner + 1] * dx
    below = flat[:, corner + SIDE] * (1 - dx) + flat[:, corner + SIDE + 1] * dx
    return np.asarray(above * (1 - dy) + below * dy)
