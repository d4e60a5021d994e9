"""Finding pictures that are copies of one another, however turned, mirrored, rescaled or re-encoded.

A fingerprint is what lies in the central disc, band-passed and compressed, in polar coordinates, as a Fourier series
over the angle. Turning a picture shifts the phases, mirroring conjugates them, scaling changes nothing; so the likeness
of two pictures is the largest correlation over all angles, of the one with the other and with its mirror image, and one
inverse transform gives it. Correlating magnitudes alone bounds it from above, which spares most pairs.

Knows files and arrays, no records. Pictures of one lesion taken twice are not copies: ids are for those.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.imaging.decode import read_image

COPY = 0.88  # copies measured 0.91 to 1; from here on, :mod:`.verification` compares pixels (benchmarks/copies.py)
REVIEW = 0.78  # between the two a person should look
_SIDE = 96  # of the thumbnail in pixels
_RADII, _ANGLES, _ORDERS = 28, 128, 33
_FINE_ANGLES = 1024  # at which a pose is sought
_OUTER = 0.8  # of the thumbnail's half side: a turned picture's empty corners stay outside
_SOFT = 4.0  # medians at which the band is compressed: else one small dark spot outweighs the rest
_FINE, _COARSE = 1.0, 3.0  # Gaussians whose difference is the band, in pixels of the thumbnail
_BLOCK = 2048


def fingerprint(source: Path | Array) -> Array:
    """The fingerprint of a picture.

    Args:
        source: A file, or uint8 [H, W, 3].

    Returns:
        complex64 [28, 33]: the angular Fourier series on rings, of unit norm; zeros for a blank picture.

    Raises:
        ImageReadError: The file cannot be read.
    """
    image = source if isinstance(source, np.ndarray) else read_image(source)
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    grey = Image.fromarray(image).convert("L")
    small = grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    band = np.fft.irfft2(np.fft.rfft2(np.asarray(small, np.float32)) * _BAND, s=(_SIDE, _SIDE))
    rings = (band.ravel()[_CORNERS] * _WEIGHTS).sum(axis=0).reshape(_RADII, _ANGLES)
    size = np.abs(rings)
    if float(size.max()) < 1.0:  # no contrast above one level
        return np.zeros((_RADII, _ORDERS), np.complex64)
    rings = rings / (size + _SOFT * np.median(size) + 0.3)
    rings -= rings.mean()
    rings *= _AREA
    series = np.fft.rfft(rings, axis=1)[:, :_ORDERS]
    series[:, 1:] *= np.sqrt(2)  # orders above 0 stand for their negatives, too
    return np.asarray(series / np.linalg.norm(series), np.complex64)


def likeness(one: Array, others: Array) -> Array:
    """How alike a picture is to others, at the best angle, mirrored or not.

    Args:
        one: A fingerprint.
        others: Fingerprints, complex64 [n, 28, 33].

    Returns:
        float32 [n], at most 1.
    """
    same = np.einsum("rk,nrk->nk", one.conj(), others)
    mirrored = np.einsum("rk,nrk->nk", one, others)
    spectra = np.stack([same, mirrored])
    spectra[..., 1:] /= 2  # irfft counts them twice
    return np.asarray(np.fft.irfft(spectra, n=_ANGLES).max(axis=(0, 2)) * _ANGLES, np.float32)


def pose(one: Array, other: Array) -> tuple[float, bool]:
    """How another picture lies against one, if both show the same.

    Args:
        one: A fingerprint.
        other: Another fingerprint.

    Returns:
        The angle in radians by which the other, after mirroring, is turned; and whether it is mirrored left to right.
    """
    spectra = np.stack([(one.conj() * other).sum(axis=0), (one * other).sum(axis=0)])
    spectra[:, 1:] /= 2
    likely = np.fft.irfft(spectra, n=_FINE_ANGLES)
    mirrored, index = np.unravel_index(int(likely.argmax()), likely.shape)
    angle = int(index) * 2 * np.pi / _FINE_ANGLES
    return (np.pi - angle, True) if mirrored else (angle, False)


def like_pairs(fingerprints: Array, *, least: float = REVIEW) -> Iterator[tuple[int, int, float]]:
    """All pairs at least so alike.

    Args:
        fingerprints: complex64 [n, 28, 33].
        least: Likeness.

    Yields:
        (i, j, likeness) with i < j.
    """
    magnitudes = _magnitudes(fingerprints)
    for start in range(0, len(fingerprints), _BLOCK):
        bound = magnitudes[start : start + _BLOCK] @ magnitudes[start:].T
        for row in range(len(bound)):
            i = start + row
            candidates = i + 1 + np.flatnonzero(bound[row, row + 1 :] >= least)
            yield from ((i, j, alike) for j, alike in _alike(fingerprints[i], fingerprints, candidates, least))


def pairs_between(ones: Array, others: Array, *, least: float = REVIEW) -> Iterator[tuple[int, int, float]]:
    """All pairs of one of these and one of those that are at least so alike.

    Args:
        ones: complex64 [n, 28, 33].
        others: complex64 [m, 28, 33].
        least: Likeness.

    Yields:
        (i, j, likeness) with i < n, j < m.
    """
    magnitudes = _magnitudes(others)
    for start in range(0, len(ones), _BLOCK):
        for row, bound in enumerate(_magnitudes(ones[start : start + _BLOCK]) @ magnitudes.T):
            candidates = np.flatnonzero(bound >= least)
            i = start + row
            yield from ((i, j, alike) for j, alike in _alike(ones[i], others, candidates, least))


def _magnitudes(fingerprints: Array) -> Array:
    return np.abs(fingerprints).reshape(len(fingerprints), -1)


def _alike(one: Array, others: Array, candidates: Array, least: float) -> Iterator[tuple[int, float]]:
    """The candidates, positions in ``others``, that are at least so alike to one."""
    if len(candidates):
        found = likeness(one, others[candidates])
        yield from ((int(j), float(s)) for j, s in zip(candidates, found, strict=True) if s >= least)


def _band() -> Array:
    """Transfer function of the band-pass on rfft2's grid."""
    fy, fx = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None]
    square = -2 * np.pi**2 * (fy**2 + fx**2)
    return np.asarray(np.exp(square * _FINE**2) - np.exp(square * _COARSE**2))


def _polar() -> tuple[Array, Array, Array]:
    """Bilinear sampling of rings: flat indices and weights, each [4, R*A], and the root of each radius, [R, 1]."""
    radii = (np.arange(_RADII) + 0.5) / _RADII * (_SIDE / 2 * _OUTER)
    angles = np.arange(_ANGLES) / _ANGLES * 2 * np.pi
    y = (_SIDE / 2 - 0.5 + radii[:, None] * np.sin(angles)).ravel()
    x = (_SIDE / 2 - 0.5 + radii[:, None] * np.cos(angles)).ravel()
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    dy, dx = y - row, x - column
    corners = [(row + i) * _SIDE + column + j for i in (0, 1) for j in (0, 1)]
    weights = [(dy if i else 1 - dy) * (dx if j else 1 - dx) for i in (0, 1) for j in (0, 1)]
    return np.stack(corners), np.stack(weights), np.sqrt(radii)[:, None]


_BAND = _band()
_CORNERS, _WEIGHTS, _AREA = _polar()
