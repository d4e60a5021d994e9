"""The check with random weights catches a method that only looks at the picture."""

import numpy as np
import pytest
import torch

from dermtl.explain.case import explain_cases
from dermtl.explain.methods import METHODS
from dermtl.explain.sanity import CheckedPicture, check_methods, rank_correlation
from dermtl.explain.score import Score, choose_head, explainable


@pytest.fixture
def probe(loaded):
    score = Score(loaded.network, {}, *explainable(choose_head(loaded.plans))["benign"])
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    return lambda method: CheckedPicture(image, score, {"it": method(score, image)}, np.ones((64, 64), bool))


def brightness(score, image):
    return image[0].mean(dim=0).numpy()


def test_a_method_that_shows_the_picture_fails(loaded, probe):
    check = check_methods(loaded, {"it": brightness}, [probe(brightness)])["it"]
    assert check.pixels == pytest.approx(1)
    assert not check.passed
    assert check.num == 2


def test_a_method_that_shows_the_weights_passes(loaded, probe):
    def weights(score, image):
        flat = torch.cat([parameter.detach().flatten() for parameter in score.network.parameters()])
        return flat[: 64 * 64].reshape(64, 64).numpy()

    check = check_methods(loaded, {"it": weights}, [probe(weights)])["it"]
    assert check.passed
    assert not check.looks_alike


def test_maps_that_fail_are_not_kept(loaded, drawn, monkeypatch):
    from dermtl.kinds import Record

    monkeypatch.setattr("dermtl.explain.case.METHODS", METHODS | {"brightness": brightness})
    records = [Record(path.name, path.parent, {}) for path in sorted((drawn / "images").iterdir())[:2]]
    cases, checks = explain_cases(loaded, choose_head(loaded.plans), records, ["input_gradient", "brightness"])
    assert not checks["brightness"].passed
    assert checks["input_gradient"].passed
    assert [list(case.maps) for case in cases] == [["input_gradient"]] * 2


def test_rank_correlation_is_of_ranks_and_0_for_a_constant_map():
    one = np.random.default_rng(0).integers(0, 9, 200)
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])) == pytest.approx(0.8)
    assert rank_correlation(one, np.zeros(200)) == 0


def test_building_random_networks_leaves_the_random_state(loaded, probe):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_methods(loaded, {"it": brightness}, [probe(brightness)])
    assert torch.equal(before, torch.get_rng_state())
