"""How far circles lie apart, differentiable. Knows no config and no frame: all lengths share one unit.

Circles are float [..., 3]: centre x, centre y, radius.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH_L1_BETA = 0.02  # in normalised units: errors above one percent of the frame count linearly
MIN_RADIUS = 1e-3
_TINY = 1e-12  # the slope of a square root is infinite at 0


def quadratic(predicted: Tensor, true: Tensor, lambda_r: float = 1.0) -> Tensor:
    """Mean over rows of dx^2 + dy^2 + lambda_r * dr^2.

    Args:
        predicted: float [n, 3], normalised.
        true: float [n, 3], normalised.
        lambda_r: Weight of the radius.
    """
    squares = (predicted - true) ** 2
    return (squares[:, 0] + squares[:, 1] + lambda_r * squares[:, 2]).mean()


def smooth_l1(predicted: Tensor, true: Tensor, lambda_r: float = 1.0) -> Tensor:
    """As :func:`quadratic`, with errors above ``SMOOTH_L1_BETA`` counting linearly."""
    terms = F.smooth_l1_loss(predicted, true, beta=SMOOTH_L1_BETA, reduction="none")
    return (terms[:, 0] + terms[:, 1] + lambda_r * terms[:, 2]).mean()


def circle_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of discs, [...] in 0..1.

    Source: area of the lens of two circles, from their two circular segments.
    """
    distance, radius, other_radius = _geometry(one, other)
    intersection = _intersection(distance, radius, other_radius)
    return intersection / (math.pi * (radius**2 + other_radius**2) - intersection)


def circle_giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU of discs, [...] in -1..1: keeps a gradient where the discs do not touch.

    Source: Rezatofighi et al. 2019, equation GIoU = IoU - (|C| - U) / |C|, with C the smallest enclosing disc, whose
    radius is max(r1, r2, (d + r1 + r2) / 2).
    """
    distance, radius, other_radius = _geometry(one, other)
    intersection = _intersection(distance, radius, other_radius)
    union = math.pi * (radius**2 + other_radius**2) - intersection
    enclosing = torch.maximum(torch.maximum(radius, other_radius), (distance + radius + other_radius) / 2)
    hull = math.pi * enclosing**2
    return intersection / union - (hull - union) / hull


def _geometry(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance of the centres and both radii, each with a finite gradient everywhere."""
    squares = ((one[..., :2] - other[..., :2]) ** 2).sum(dim=-1)
    return torch.sqrt(squares + _TINY), one[..., 2].clamp(min=MIN_RADIUS), other[..., 2].clamp(min=MIN_RADIUS)


def _intersection(distance: Tensor, radius: Tensor, other_radius: Tensor) -> Tensor:
    """Area common to two discs, with its exact slopes.

    The cosines are clamped, which covers discs apart (both angles are 0) and one inside the other (0 and pi). The
    slopes of acos and of the square root are infinite where circles touch and cancel there; left to rounding, they
    would throw the optimiser off. So the slopes are written out: by the distance, minus the common chord; by a
    radius, the length of its arc inside the other disc.
    """
    with torch.no_grad():
        squared, other_squared = radius**2, other_radius**2
        cosine = (distance**2 + squared - other_squared) / (2 * distance * radius)
        other_cosine = (distance**2 + other_squared - squared) / (2 * distance * other_radius)
        angle, other_angle = torch.acos(cosine.clamp(-1, 1)), torch.acos(other_cosine.clamp(-1, 1))
        kite = (
            (-distance + radius + other_radius)
            * (distance + radius - other_radius)
            * (distance - radius + other_radius)
            * (distance + radius + other_radius)
        )
        double_kite = torch.sqrt(kite.clamp(min=0))
        area = squared * angle + other_squared * other_angle - double_kite / 2
    return (
        area
        - double_kite / distance * _change(distance)
        + 2 * radius.detach() * angle * _change(radius)
        + 2 * other_radius.detach() * other_angle * _change(other_radius)
    )


def _change(value: Tensor) -> Tensor:
    """Zero, with slope one."""
    return value - value.detach()
