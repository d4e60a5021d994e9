import math

import numpy as np
import pytest
import torch
from dermtl_regression.circle import metrics
from dermtl_regression.circle.loss import BETA, centre_loss, circle_giou, circle_iou, radius_loss
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import smooth_l1_loss

UNIT_IOU = [(0, 1.0), (0.25, 0.726013), (0.5, 0.520956), (1, 0.243010), (1.5, 0.077757), (2, 0.0), (3, 0.0)]
CENTRES = st.floats(-2, 2, width=32)
RADII = st.floats(0.015625, 2, width=32)
CIRCLES = st.tuples(CENTRES, CENTRES, RADII)


def _double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(("distance", "expected"), UNIT_IOU)
def test_iou_of_unit_discs(distance, expected):
    one, other = _double([0, 0, 1]), _double([0.6 * distance, 0.8 * distance, 1])
    assert circle_iou(one, other).item() == pytest.approx(expected, abs=2e-6)
    assert metrics.circle_iou(one.numpy(), other.numpy())[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("one", "other", "expected"), [([5, 5, 1], [5, 5, 0.8], 0.64), ([0, 0, 2], [0.5, 0, 1], 0.25)])
def test_iou_of_one_disc_inside_another(one, other, expected):
    assert circle_iou(_double(one), _double(other)).item() == pytest.approx(expected, abs=1e-6)
    assert metrics.circle_iou(np.array(one, float), np.array(other, float)) == pytest.approx(expected)


@pytest.mark.parametrize(("distance", "expected"), [(0, 1.0), (1, -0.0419), (2, -0.5), (4, -0.777778), (10, -0.944444)])
def test_giou_of_unit_discs(distance, expected):
    assert circle_giou(_double([0, 0, 1]), _double([distance, 0, 1])).item() == pytest.approx(expected, abs=5e-5)


@given(CIRCLES, CIRCLES)
def test_torch_and_numpy_agree(one, other):
    exact = metrics.circle_iou(np.array(one), np.array(other))
    assert circle_iou(_double(one), _double(other)).item() == pytest.approx(float(exact), abs=2e-4)
    assert 0 <= exact <= 1 + 1e-9


@given(CIRCLES, CIRCLES)
def test_the_gradient_is_bounded_even_where_circles_touch(one, other):
    for first, second in ((one, other), (one, one), (one, (one[0] + one[2] + other[2], one[1], other[2]))):
        circle = torch.tensor([first], requires_grad=True)
        circle_giou(circle, torch.tensor([second])).sum().backward()
        assert circle.grad.isfinite().all()
        assert circle.grad.abs().max() < 8 / min(first[2], second[2])


def test_giou_pulls_discs_that_do_not_touch():
    circle = torch.tensor([[0.2, 0.2, 0.1]], requires_grad=True)
    circle_giou(circle, torch.tensor([[0.8, 0.8, 0.1]])).sum().backward()
    assert (circle.grad > 0).all()


@pytest.mark.parametrize("distance", [0.3, 1.2, 3.0])
def test_giou_gradient_is_that_of_the_formula(distance):
    one = _double([distance, 0.1, 1]).requires_grad_()
    other = _double([0, 0, 0.8]).requires_grad_()
    assert torch.autograd.gradcheck(circle_giou, (one, other))


def test_centre_loss_is_smooth_l1_of_the_distance_in_radii():
    # Distances 5, 0.5 and 0.3 at radius 10, 10 and 2: 0.5, 0.05 and 0.15 radii.
    predicted = _double([3, 4, 1], [0.3, 0.4, 99], [0, 0.3, 1])
    true = _double([0, 0, 10], [0, 0, 10], [0, 0, 2])
    expected = smooth_l1_loss(_double(0.5, 0.05, 0.15), torch.zeros(3).double(), beta=BETA, reduction="none")
    torch.testing.assert_close(centre_loss(predicted, true), expected, atol=1e-6, rtol=0)


def test_radius_loss_is_smooth_l1_of_the_logarithm():
    log_ratio = _double(math.log(2), -math.log(2), math.log(1.05), 0)
    expected = smooth_l1_loss(log_ratio, torch.zeros(4).double(), beta=BETA, reduction="none")
    torch.testing.assert_close(radius_loss(log_ratio), expected)


@pytest.mark.parametrize("value", [0.0, BETA, 1.0])
def test_the_slopes_of_both_losses_are_finite(value):
    log_ratio, circle = torch.tensor([value], requires_grad=True), torch.tensor([[value, 0, 1]], requires_grad=True)
    (radius_loss(log_ratio) + centre_loss(circle, torch.tensor([[0.0, 0, 1]]))).sum().backward()
    assert log_ratio.grad.abs().max() <= 1
    assert circle.grad.abs().max() <= 1


def test_a_radius_below_zero_is_an_empty_disc():
    assert metrics.circle_iou(np.array([0, 0, -1.0]), np.array([0, 0, 1.0])) == 0
    assert metrics.circle_iou(np.array([0, 0, 0.0]), np.array([0, 0, 0.0])) == 0
    assert circle_iou(_double([0, 0, -1]), _double([0, 0, 1])).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("iou", "shift"), [(0.5, 0.530), (0.65, 0.335), (0.75, 0.225), (0.9, 0.083)])
def test_shift_of_equal_discs_at_known_iou(iou, shift):
    # Slope -dIoU/d(shift) is at most 4 / pi, so three digits of the shift give three of the IoU.
    got = metrics.circle_iou(np.array([0, 0, 1.0]), np.array([shift, 0, 1.0]))
    assert got == pytest.approx(iou, abs=0.001 * 4 / math.pi)
