"""From an invented lesion to pixels and an outline. Knows nothing of tables.

Layers, from below: skin, pigment through a soft edge, light, hair, the sensor's noise.
"""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from dermtl.arrays import Array
from dermtl.data.synthetic.case import Lesion, Patient

FIELD_MM = 17.0  # what the longer side of a picture shows, as under a dermatoscope


def render(patient: Patient, lesion: Lesion, rng: Generator) -> tuple[Array, Array]:
    """One picture of a lesion.

    Returns:
        uint8 [H, W, 3] RGB, and uint8 [H, W] of 0 and 255, the lesion's outline.
    """
    width, height = int(rng.integers(180, 321)), int(rng.integers(150, 281))
    y, x = np.mgrid[:height, :width] + 0.5
    canvas = _skin(patient, x, y, rng)
    inside, px = _outline(lesion, x, y, rng)
    edge = 1 / (1 + np.exp(-np.clip(inside / (lesion.softness * px + 0.6), -30, 30) * 2.2))
    pigment = _pigment(lesion, inside / px, (height, width), rng)
    canvas += (pigment - canvas) * (edge * rng.uniform(0.8, 0.97))[..., None]
    canvas = _light(canvas, x, y, rng)
    canvas = _hair(canvas, patient.hairiness, rng)
    canvas += rng.normal(0, rng.uniform(0.006, 0.016), canvas.shape)
    return np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8), np.where(inside > 0, 255, 0).astype(np.uint8)


def _clouds(hw: tuple[int, int], cell_px: float, rng: Generator) -> Array:
    """Smooth noise [H, W] of about zero mean and unit spread, with features of ``cell_px``."""
    height, width = hw
    grid = rng.normal(0, 1.3, (int(height / cell_px) + 3, int(width / cell_px) + 3)).astype(np.float32)
    box = (1.0, 1.0, 1.0 + width / cell_px, 1.0 + height / cell_px)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box))


def _skin(patient: Patient, x: Array, y: Array, rng: Generator) -> Array:
    """Tone, blotches, and the net of fine furrows with its pores."""
    blotches, furrows, grain = (_clouds(x.shape, cell, rng) for cell in (60.0, 5.0, 1.6))
    net = -np.exp(-((furrows / 0.35) ** 2)) * 0.018 + grain * 0.008
    redness = _clouds(x.shape, 25.0, rng)[..., None] * np.array([0.003, -0.007, -0.006])
    tone: Array = patient.skin * (1 + blotches * 0.02 + net)[..., None] + redness
    return tone


def _outline(lesion: Lesion, x: Array, y: Array, rng: Generator) -> tuple[Array, float]:
    """Signed depth below the outline in pixels, positive inside, and the lesion's radius in pixels."""
    height, width = x.shape
    px = lesion.diameter_mm / 2 * max(height, width) / FIELD_MM * rng.uniform(0.92, 1.08)
    px = min(px, 0.42 * min(height, width))
    centre = (width / 2 + rng.normal(0, 0.07) * width, height / 2 + rng.normal(0, 0.07) * height)
    turn, mirrored = rng.uniform(0, 2 * np.pi), rng.choice((-1, 1))
    dx, dy = x - centre[0], (y - centre[1]) * mirrored
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / np.sqrt(lesion.stretch)
    v = (dy * np.cos(turn) - dx * np.sin(turn)) * np.sqrt(lesion.stretch)
    angles = np.linspace(-np.pi, np.pi, 721)
    waves = angles[:, None] * np.arange(1, 6)
    radii = px * (1 + np.cos(waves) @ lesion.radii[:, 0] + np.sin(waves) @ lesion.radii[:, 1])
    radius = np.interp(np.arctan2(v, u), angles, radii)
    ragged = _clouds(x.shape, max(4.0, px / 5), rng) * (0.02 + np.abs(lesion.radii).mean() * 0.5) * px
    return np.maximum(radius, 0.45 * px) - np.hypot(u, v) + ragged, float(px)


def _pigment(lesion: Lesion, depth: Array, hw: tuple[int, int], rng: Generator) -> Array:
    """Colours [H, W, 3] of the lesion; ``depth`` is 0 at the outline and about 1 in the middle."""
    main, second, patch = lesion.colours
    cell = max(hw) / 9
    zones, clots, spots, net = (_clouds(hw, size, rng) for size in (cell, cell / 3, cell * 0.8, 3.5))
    share = np.clip(0.5 + zones * 0.45 + clots * 0.25, 0, 1)[..., None] * lesion.patchiness
    colour = main + (second - main) * share
    colour += (patch - colour) * (np.clip((spots + clots * 0.3 - 0.4) * 0.6, 0, 0.75) * lesion.patchiness)[..., None]
    dots = np.clip((_clouds(hw, 5.5, rng) - 1.25) * 1.2, 0, 0.8)[..., None] * lesion.speckle
    pits = np.clip(_clouds(hw, 4.0, rng) - 1.2, 0, 1)[..., None] * lesion.speckle * 0.6
    colour = colour + (np.array([0.93, 0.86, 0.68]) - colour) * np.clip(dots, 0, 1) - pits * 0.25
    rim = np.clip(1 - depth / 0.7, 0, 1)[..., None] * (0.25 if lesion.label != "keratosis" else -0.06)
    shaded: Array = colour * (1 + rim + (net * 0.07 + clots * 0.05)[..., None])
    return shaded


def _light(canvas: Array, x: Array, y: Array, rng: Generator) -> Array:
    """A slope of brightness, a cast, and in some pictures the dark rim of a dermatoscope."""
    height, width = x.shape
    slope = rng.normal(0, 0.06, 2)
    gain = 1 + slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5) + rng.normal(0, 0.04)
    far = np.hypot((x - width / 2) / width, (y - height / 2) / height) * 2
    if rng.random() < 0.35:
        gain = gain * (1 - rng.uniform(0.1, 0.35) * np.clip(far - 0.55, 0, 1) ** 1.5)
    if rng.random() < 0.12:
        reach = np.hypot(x - width / 2, y - height / 2) / (max(height, width) / 2)
        gain = gain * (1 - 0.95 / (1 + np.exp(-(reach - rng.uniform(0.98, 1.08)) * 60)))
    lit: Array = canvas * gain[..., None] * (1 + rng.normal(0, 0.02, 3))
    return lit


def _hair(canvas: Array, hairiness: float, rng: Generator) -> Array:
    """Bent dark strokes, drawn at twice the size and made smaller so that they are smooth."""
    num = int(hairiness * rng.uniform(0, 28))
    if num == 0:
        return canvas
    height, width, _ = canvas.shape
    layer = Image.new("L", (2 * width, 2 * height))
    pen, main = ImageDraw.Draw(layer), rng.uniform(0, np.pi)
    steps = np.linspace(0, 1, 24)[:, None]
    for _ in range(num):
        start = rng.uniform(-0.1, 1.1, 2) * (2 * width, 2 * height)
        angle, length = main + rng.normal(0, 0.5), rng.uniform(0.4, 1.3) * max(height, width)
        along = np.array([np.cos(angle), np.sin(angle)])
        bend = np.array([-along[1], along[0]]) * rng.normal(0, 0.22) * length
        path = start + along * length * steps + bend * 4 * steps * (1 - steps)
        shade, width_px = int(rng.integers(110, 230)), int(rng.integers(2, 4))
        pen.line(path.ravel().tolist(), fill=shade, width=width_px)
    layer = layer.filter(ImageFilter.GaussianBlur(0.6)).resize((width, height), Image.Resampling.BILINEAR)
    share = np.asarray(layer, np.float32)[..., None] / 255
    stroked: Array = canvas + (np.array([0.13, 0.09, 0.07]) - canvas) * share * 0.9
    return stroked
