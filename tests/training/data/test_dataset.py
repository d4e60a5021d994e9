"""A sample is a function of (seed, epoch, index), whoever reads it and when."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from dermtl.errors import ImageReadError
from dermtl.kinds import Category, Circle, Kind, Mask, Number, Record
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.batch_order import BatchOrder, keyed_seed
from dermtl.training.data.dataset import Batch, Examples, collate
from dermtl.training.data.loader import load_batches

SIZE = 48


@pytest.fixture(scope="module")
def kinds(drawn_records: Sequence[Record]) -> dict[str, Kind]:
    classes = tuple(sorted({record.cells["label"] for record in drawn_records}))
    return {"diagnosis": Category(classes), "extent": Circle(), "outline": Mask(), "age": Number(("age",))}


@pytest.fixture(scope="module")
def examples(drawn_records: Sequence[Record], kinds: dict[str, Kind]) -> Examples:
    return Examples(drawn_records, kinds, SIZE, augmentation=Augmentation("default"), seed=3)


def same(one: Batch, other: Batch) -> bool:
    return (
        one.indices == other.indices
        and torch.equal(one.images, other.images)
        and one.targets.keys() == other.targets.keys()
        and all(
            torch.equal(a, b)
            for name in one.targets
            for a, b in zip(one.targets[name], other.targets[name], strict=True)
        )
    )


@pytest.mark.slow
def test_workers_change_nothing(examples: Examples) -> None:
    order = BatchOrder(len(examples), 5, seed=3)
    for epoch in range(2):
        order.epoch = epoch
        alone = list(load_batches(examples, order))
        together = list(load_batches(examples, order, workers=2))
        assert len(alone) == len(together) == 5
        assert all(same(one, other) for one, other in zip(alone, together, strict=True))


def test_the_order_of_reading_changes_nothing(examples: Examples) -> None:
    forwards = [examples[1, index].image for index in range(6)]
    backwards = [examples[1, index].image for index in reversed(range(6))][::-1]
    assert all((one == other).all() for one, other in zip(forwards, backwards, strict=True))


def test_epochs_and_seeds_differ(examples: Examples, drawn_records: Sequence[Record], kinds: dict[str, Kind]) -> None:
    other = Examples(drawn_records, kinds, SIZE, augmentation=Augmentation("default"), seed=4)
    assert any((examples[0, index].image != examples[1, index].image).any() for index in range(3))
    assert any((examples[0, index].image != other[0, index].image).any() for index in range(3))


def test_without_augmentation_every_epoch_is_the_letterbox(
    drawn_records: Sequence[Record], kinds: dict[str, Kind]
) -> None:
    plain = Examples(drawn_records, kinds, SIZE)
    one, other = plain[0, 2], plain[5, 2]
    assert (one.image == other.image).all()
    assert one.image.shape == (SIZE, SIZE, 3)
    record = drawn_records[2]
    np.testing.assert_allclose(one.annotations["extent"], [float(record.cells[c]) for c in ("cx", "cy", "r")])


def test_missing_truths_are_rows_left_out(examples: Examples, drawn_records: Sequence[Record]) -> None:
    keys = [(0, index) for index in range(len(drawn_records))]
    fetched = examples.__getitems__(keys)
    batch = collate(fetched)
    assert isinstance(batch, Batch)
    known = [row for row, record in enumerate(drawn_records) if record.cells["age"].strip()]
    assert 0 < len(known) < len(drawn_records), "the drawn set must have and lack ages"
    rows, target = batch.targets["age"]
    assert rows.tolist() == known
    np.testing.assert_allclose(target[:, 0], [float(drawn_records[row].cells["age"]) for row in known])
    assert batch.targets["outline"][1].shape == (len(drawn_records), SIZE, SIZE)
    assert batch.targets["diagnosis"][1].dtype == torch.int64
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (len(drawn_records), 3, SIZE, SIZE)


def test_a_head_without_any_truth_has_no_targets(drawn_records: Sequence[Record]) -> None:
    blank = [Record(r.image, r.root, {**r.cells, "age": ""}, r.where) for r in drawn_records[:3]]
    batch = collate(Examples(blank, {"age": Number(("age",))}, SIZE).__getitems__([(0, 0), (0, 1), (0, 2)]))
    assert isinstance(batch, Batch)
    assert batch.targets == {}
    assert len(batch.images) == 3


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_fault_keeps_its_type_place_and_hint(drawn_records: Sequence[Record], workers: int) -> None:
    broken = [*drawn_records[:3], Record("images/gone.jpg", drawn_records[0].root, drawn_records[0].cells, "x.csv:9")]
    examples = Examples(broken, {"diagnosis": Number(("r",))}, SIZE)
    with pytest.raises(ImageReadError) as caught:
        list(load_batches(examples, BatchOrder(4, 2, shuffle=False), workers=workers))
    with pytest.raises(ImageReadError) as direct:
        examples[0, 3]
    assert str(caught.value) == str(direct.value)
    assert caught.value.where == str(Path(drawn_records[0].root) / "images/gone.jpg")
    assert caught.value.hint


def test_each_epoch_is_a_permutation_of_its_own() -> None:
    order = BatchOrder(23, 4, seed=1)
    passes = []
    for epoch in range(3):
        order.epoch = epoch
        batches = list(order)
        assert len(batches) == len(order) == 6
        assert all(found == epoch for batch in batches for found, _ in batch)
        passes.append([index for batch in batches for _, index in batch])
        assert sorted(passes[-1]) == list(range(23))
    assert passes[0] != passes[1] != passes[2]
    assert passes[0] != list(range(23))


@pytest.mark.parametrize("start", range(7))
def test_starting_in_the_middle_gives_the_rest(start: int) -> None:
    whole, rest = BatchOrder(23, 4, seed=1), BatchOrder(23, 4, seed=1)
    whole.epoch = rest.epoch = 2
    rest.start = start
    assert list(rest) == list(whole)[start:]


def test_keyed_seeds_are_spread_and_fixed() -> None:
    seeds = {keyed_seed(0, epoch, index) for epoch in range(20) for index in range(200)}
    assert len(seeds) == 4000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert keyed_seed(1, 23) != keyed_seed(12, 3)
    assert keyed_seed(0, 0, 0) == keyed_seed(0, 0, 0) == 872832921
