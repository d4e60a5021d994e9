"""Intervals that resample whole groups."""

import numpy as np
import pytest

from dermtl.evaluation.intervals import bootstrap_intervals
from dermtl.imaging.affine import Array


def mean_of(values: Array):
    return lambda rows: {"mean": float(values[rows].mean())}


def simulate(generator: np.random.Generator, num_groups: int) -> tuple[Array, list[str]]:
    """Groups of one to six alike rows around zero."""
    values, groups = [], []
    for group in range(num_groups):
        size = int(generator.integers(1, 7))
        values.append(generator.normal() + 0.2 * generator.normal(size=size))
        groups += [f"g{group}"] * size
    return np.concatenate(values), groups


@pytest.mark.slow
def test_the_truth_is_covered_about_95_percent() -> None:
    generator = np.random.default_rng(0)
    clustered = rowwise = 0
    num = 250
    for trial in range(num):
        values, groups = simulate(generator, 40)
        low, high = bootstrap_intervals(mean_of(values), groups, resamples=150, seed=trial)["mean"]
        clustered += low <= 0 <= high
        alone = [str(row) for row in range(len(values))]
        low, high = bootstrap_intervals(mean_of(values), alone, resamples=150, seed=trial)["mean"]
        rowwise += low <= 0 <= high
    assert 0.89 <= clustered / num <= 0.985
    assert rowwise / num < 0.8, "ignoring groups must be seen to fail, or this test shows nothing"


def test_it_agrees_with_the_textbook_for_single_rows() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap_intervals(mean_of(values), [str(i) for i in range(400)], resamples=600)["mean"]
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.25 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.25 * half)


def test_groups_are_drawn_whole() -> None:
    groups = ["a", "b", "a", "c", "b", "a"]
    sizes = {"a": 3, "b": 2, "c": 1}
    drawn: list[tuple[int, ...]] = []

    def note(rows: Array) -> dict[str, float]:
        drawn.append(tuple(int(row) for row in rows))
        return {"n": float(len(rows))}

    bootstrap_intervals(note, groups, resamples=50)
    assert drawn[0] == (0, 1, 2, 3, 4, 5)
    assert len(drawn) == 51
    for rows in drawn[1:]:
        counts = {name: sum(groups[row] == name for row in rows) for name in sizes}
        assert sum(counts[name] // sizes[name] for name in sizes) == 3
        assert all(counts[name] % sizes[name] == 0 for name in sizes)


def test_one_group_is_not_estimable() -> None:
    low, high = bootstrap_intervals(mean_of(np.arange(5.0)), ["same"] * 5)["mean"]
    assert np.isnan(low)
    assert np.isnan(high)


def test_what_is_rarely_defined_is_not_estimable() -> None:
    values = np.array([1.0] + [np.nan] * 9)

    def known(rows: Array) -> dict[str, float]:
        with_value = values[rows][np.isfinite(values[rows])]
        often = float(rows.mean())
        rarely = float(with_value.mean()) if len(with_value) > 2 else float("nan")
        return {"rarely": rarely, "often": often, "never": float("nan"), "endless": float("inf")}

    found = bootstrap_intervals(known, [str(i) for i in range(10)], resamples=200)
    assert np.isfinite(found["often"]).all()
    for name in ("rarely", "never", "endless"):
        assert np.isnan(found[name]).all(), name


def test_the_seed_and_the_level_matter_and_nothing_else_does() -> None:
    values, groups = simulate(np.random.default_rng(1), 20)
    first = bootstrap_intervals(mean_of(values), groups, resamples=100)
    np.random.seed(5)
    assert bootstrap_intervals(mean_of(values), groups, resamples=100) == first
    assert bootstrap_intervals(mean_of(values), groups, resamples=100, seed=1) != first
    narrow = bootstrap_intervals(mean_of(values), groups, resamples=100, level=0.5)["mean"]
    assert first["mean"][0] < narrow[0] < narrow[1] < first["mean"][1]
