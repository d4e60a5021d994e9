from collections import Counter

import numpy as np
import pytest

from dermtl.errors import ConfigError
from dermtl.kinds import Category, Circle, Record
from dermtl.training.data.batch_order import BatchOrder, balanced_shares

LABELS = ["a"] * 80 + ["b"] * 15 + ["c"] * 5
KIND = Category(("a", "b", "c"))


def records(labels):
    return [Record(f"{index}.jpg", None, {"label": label}) for index, label in enumerate(labels)]


def test_balanced_draws_every_class_equally_often():
    shares = balanced_shares(records(LABELS), [Circle(), KIND])
    order = BatchOrder(len(LABELS), 10, shares=shares)
    drawn: Counter[str] = Counter()
    for epoch in range(60):
        order.epoch = epoch
        keys = [key for batch in order for key in batch]
        assert len(keys) == len(LABELS)
        drawn.update(LABELS[key[1]] for key in keys)
    total = drawn.total()
    for label in "abc":
        assert drawn[label] / total == pytest.approx(1 / 3, abs=0.02)


def test_repeats_within_an_epoch_have_keys_of_their_own():
    order = BatchOrder(len(LABELS), 7, shares=balanced_shares(records(LABELS), [KIND]))
    keys = [key for batch in order for key in batch]
    assert len(set(keys)) == len(keys)
    assert any(len(key) == 3 for key in keys)


def test_the_draw_depends_on_seed_and_epoch_alone():
    shares = balanced_shares(records(LABELS), [KIND])
    orders = [list(BatchOrder(len(LABELS), 8, seed=seed, shares=shares)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    late = BatchOrder(len(LABELS), 8, seed=1, shares=shares)
    late.start = 5
    assert list(late) == orders[0][5:]


def test_records_without_a_class_are_drawn_as_the_average():
    shares = balanced_shares(records(["a", "a", "a", "b", ""]), [KIND])
    assert shares.sum() == pytest.approx(1)
    assert shares[4] == pytest.approx(np.mean(shares[:4]))


def test_balanced_without_classes_is_refused():
    with pytest.raises(ConfigError, match="needs a head with classes"):
        balanced_shares(records(LABELS), [Circle()])


@pytest.mark.parametrize(("num", "batch_size"), [(17, 8), (23, 4), (33, 16), (9, 8), (5, 5), (1, 4), (700, 16)])
def test_batches_are_as_equal_as_can_be_and_never_too_large(num, batch_size):
    sizes = [len(batch) for batch in BatchOrder(num, batch_size)]
    assert sum(sizes) == num
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == len(BatchOrder(num, batch_size))
