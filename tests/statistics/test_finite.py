"""Small numbers that everything else rests on."""

import math
import warnings

import numpy as np
import pytest
from scipy.special import expit as scipy_expit

from dermtl.statistics.expit import expit
from dermtl.statistics.finite import finite_or_none
from dermtl.statistics.ratio import ratio


def test_expit_is_scipys_and_warns_of_nothing():
    values = np.array([-1e4, -745.2, -30.0, -1.0, 0.0, 0.5, 40.0, 1e4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert expit(values) == pytest.approx(scipy_expit(values), rel=1e-15, abs=0)
        assert float(expit(0.3)) == pytest.approx(float(scipy_expit(0.3)), rel=1e-15)


def test_a_ratio_of_nothing_is_not_a_number():
    assert ratio(np.array([1, 0, 3]), np.array([2, 0, 0])).tolist()[0] == 0.5
    assert np.isnan(ratio(np.array([1, 0, 3]), np.array([2, 0, 0]))[1:]).all()
    assert float(ratio(1, 4)) == 0.25
    assert math.isnan(ratio(0.0, 0.0))


def test_json_knows_no_infinity():
    assert [finite_or_none(value) for value in (0.5, math.inf, -math.inf, math.nan, None)] == [
        0.5,
        None,
        None,
        None,
        None,
    ]
