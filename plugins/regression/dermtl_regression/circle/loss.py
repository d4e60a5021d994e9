"""Differentiable distances between circles; all lengths share one unit.

Circles are float [..., 3]: centre x, centre y, radius.
"""

import math

import torch
from torch import Tensor

BETA = 0.1  # errors below a tenth of the radius, about those of an annotator, are squared
MIN_RADIUS = 1e-3
_TINY = 1e-12  # the slope of a square root is infinite at 0


def centre_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Distance of the centres in true radii, float [...], as smooth L1: quadratic below ``BETA``.

    Args:
        predicted: float [..., 2 or more], centre x and y first.
        true: float [..., 3].
    """
    distance = torch.sqrt(((predicted[..., :2] - true[..., :2]) ** 2).sum(dim=-1) + _TINY)
    return _smooth(distance / true[..., 2].clamp(min=MIN_RADIUS))


def radius_loss(log_ratio: Tensor) -> Tensor:
    """Absolute logarithm of predicted over true radius, float [...], as smooth L1.

    The median of the logarithm minimises it, so predicted radii are as often too large as too small.
    """
    return _smooth(log_ratio.abs())


def _smooth(error: Tensor) -> Tensor:
    """Smooth L1: error - BETA / 2, and error^2 / (2 BETA) below ``BETA``.

    Source: Girshick 2015, smooth L1.
    """
    return torch.where(error < BETA, error**2 / (2 * BETA), error - BETA / 2)


def circle_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of discs, [...] in 0..1.

    Source: area of the lens of two circles, from their two circular segments.
    """
    distance, radius, other_radius = _geometry(one, other)
    intersection = _intersection(distance, radius, other_radius)
    return intersection / (math.pi * (radius**2 + other_radius**2) - intersection)


def circle_giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU of discs, [...] in -1..1, with a gradient even if the discs do not touch.

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

    Clamped cosines cover separate discs (both angles are 0) and a disc inside the other (0 and pi). If circles touch,
    the slopes of acos and of the square root are infinite and cancel, except for rounding errors that would mislead
    the optimiser. So the slopes are written out: the slope by the distance is minus the common chord, the slope by a
    radius is the length of its arc inside the other disc.
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
