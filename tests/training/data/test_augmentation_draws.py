"""Every transform of a list draws for itself: joint outcomes are counted and held against independence."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import albumentations
import numpy as np
import pytest
import yaml
from scipy.stats import chi2_contingency, chisquare

from dermtl.arrays import Array
from dermtl.imaging.affine import Affine
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.view import View
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.augmentation_presets import PRESETS
from dermtl.training.data.batch_order import keyed_seed

SIZE = 32
LETTERBOX = Letterbox((SIZE, SIZE), SIZE).view
FLIPS: list[dict[str, Any]] = [{"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}]
TURN = {"Rotate": {"limit": [90, 90], "p": 1}}
CHANCE = 1e-4  # how rarely independent draws may look so unlike their law; the draws are keyed, so a test never wavers


def written_presets() -> dict[str, Any]:
    """Name of each experiment that dermtl brings to its list of augmentations, where it has one."""
    files = [file for file in resources.files("dermtl.config.presets").iterdir() if file.name.endswith(".yaml")]
    found = {file.name: yaml.safe_load(file.read_text())["training"].get("augmentation") for file in files}
    return {name: steps for name, steps in found.items() if isinstance(steps, list)}


LISTS: dict[str, Any] = {
    **{name: name for name in PRESETS},
    **written_presets(),
    "OneOf": [{"OneOf": {"transforms": [*FLIPS, TURN], "p": 0.5}}, *FLIPS],
    "SomeOf": [{"SomeOf": {"transforms": [*FLIPS, TURN], "n": 2}}, *FLIPS],
    "Sequential": [{"Sequential": {"transforms": [*FLIPS, {"RandomGamma": {"p": 0.5}}], "p": 0.5}}, *FLIPS],
    "deeper": [{"OneOf": {"transforms": [{"Sequential": {"transforms": FLIPS}}, TURN], "p": 0.7}}, *FLIPS],
}


def draws(augmentation: Augmentation, num: int, *, spatial: bool = True) -> Iterator[tuple[Array, View]]:
    """A picture with one bright quadrant, augmented for ``num`` epochs as training does it."""
    image = np.full((SIZE, SIZE, 3), 100, np.uint8)
    image[: SIZE // 2, : SIZE // 2] = 120
    for epoch in range(num):
        yield augmentation(image, LETTERBOX, keyed_seed(0, epoch, 0, 0), spatial=spatial)


def mirrored(view: View) -> bool:
    return bool(np.linalg.det(view.affine.matrix[:, :2]) < 0)


def test_two_flips_give_each_of_four_outcomes_alike() -> None:
    seen = Counter(tuple(np.sign(np.diag(view.affine.matrix[:, :2]))) for _, view in draws(Augmentation(FLIPS), 1000))
    assert len(seen) == 4
    assert chisquare(list(seen.values())).pvalue > CHANCE


def test_default_mirrors_half_of_the_pictures() -> None:
    seen = [mirrored(view) for _, view in draws(Augmentation("default"), 1000)]
    assert chisquare([sum(seen), 1000 - sum(seen)]).pvalue > CHANCE


def test_esteva2017_flips_at_every_angle_alike() -> None:
    counts = np.zeros((2, 8))
    for _, view in draws(Augmentation(LISTS["esteva2017.yaml"]), 2000):
        matrix = view.affine.matrix[:, :2]
        flipped = int(mirrored(view))
        turn = np.diag([1, -1]) @ matrix if flipped else matrix
        angle = np.degrees(np.arctan2(turn[0, 1], turn[0, 0])) + 0.5  # angles are whole degrees
        counts[flipped, int(angle % 360 // 45)] += 1
    assert chisquare(counts.ravel()).pvalue > CHANCE


@pytest.mark.parametrize("name", list(LISTS))
def test_outcomes_of_every_pair_of_transforms_are_independent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Recorder()
    monkeypatch.setattr(albumentations.BasicTransform, "apply_with_params", seen.spy())
    augmentation = Augmentation(LISTS[name])
    for _ in draws(augmentation, 1500):
        seen.next()
    steps = augmentation._pipeline.transforms if augmentation._pipeline else []
    # Within one step transforms may exclude one another, as OneOf means it: only those of different steps are paired.
    columns = [[column for leaf in leaves(step) for column in seen.columns(leaf)] for step in steps]
    pairs = [pair for one, other in itertools.combinations(columns, 2) for pair in itertools.product(one, other)]
    assert pairs or name == "none"
    for one, other in pairs:
        table = np.array([[np.sum((one == i) & (other == j)) for j in np.unique(other)] for i in np.unique(one)])
        assert chi2_contingency(table).pvalue > CHANCE / len(pairs), table


@pytest.mark.parametrize("name", list(LISTS))
def test_pictures_are_the_same_whether_geometry_is_needed_or_not(name: str) -> None:
    augmentation = Augmentation(LISTS[name])
    with_geometry, without = draws(augmentation, 20), draws(augmentation, 20, spatial=False)
    assert all((one == other).all() for (one, _), (other, _) in zip(with_geometry, without, strict=True))


def leaves(step: Any) -> list[Any]:
    """A transform itself, or all that lie inside a composition."""
    return [leaf for inner in step.transforms for leaf in leaves(inner)] if hasattr(step, "transforms") else [step]


class Recorder:
    """What each transform drew, call by call."""

    def __init__(self) -> None:
        self._calls: list[dict[int, dict[str, float]]] = [{}]

    def next(self) -> None:
        """The next picture begins."""
        self._calls.append({})

    def spy(self) -> Any:
        """In place of albumentations' method that applies what was drawn."""
        apply, recorder = albumentations.BasicTransform.apply_with_params, self

        def apply_with_params(self: Any, params: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            recorder._calls[-1][id(self)] = dict(numbers(params))
            return apply(self, params, *args, **kwargs)

        return apply_with_params

    def columns(self, transform: Any) -> list[Array]:
        """Outcomes of one transform: whether it was applied, and the third in which each number fell; -1 for none."""
        calls = [call.get(id(transform)) for call in self._calls[:-1]]
        applied = np.array([call is not None for call in calls])
        columns = [applied.astype(int)]
        for key in sorted({key for call in calls if call for key in call}):
            values = np.array([np.nan if call is None else call.get(key, np.nan) for call in calls])
            edges = np.nanquantile(values, [1 / 3, 2 / 3])
            columns.append(np.where(np.isnan(values), -1, np.searchsorted(edges, values)))
        return [column for column in columns if len(np.unique(column)) > 1]


def numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number in what a transform drew, with a name."""
    if isinstance(value, Affine):
        value = np.degrees(np.arctan2(value.matrix[0, 1], value.matrix[0, 0]))
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from numbers(inner, f"{key}.{name}")
    elif isinstance(value, int | float | np.number):
        yield key, float(value)
    elif isinstance(value, tuple | list | np.ndarray) and np.size(value) <= 16:
        for index, inner in enumerate(np.ravel(value)):
            yield from numbers(inner.item() if isinstance(inner, np.generic) else inner, f"{key}.{index}")
