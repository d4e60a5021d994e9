"""A few of many reach from the first to the last, so that a table sorted by class gives records of every class."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.statistics.spread import spread


@given(st.integers(0, 3000), st.integers(1, 300))
def test_first_and_last_are_among_them_at_even_distances(total: int, num: int) -> None:
    places = spread(range(total), num)
    assert len(places) == len(set(places)) == min(total, num)
    assert places == sorted(places)
    if total:
        assert places[0] == 0
    if total and num > 1:
        assert places[-1] == total - 1
    gaps = [after - before for before, after in pairwise(places)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("total", [127, 128, 255, 511, 2000])
def test_calibration_of_a_table_sorted_by_class_sees_every_class_alike(
    total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    from dermtl.export.precision import search as precision

    seen: list[list[int]] = []
    monkeypatch.setattr(precision, "int8_candidates", lambda content, *pictures: seen.extend(pictures) or iter(()))
    table = [SimpleNamespace(path=index * 8 // total) for index in range(total)]  # eight classes, one after another
    exact = SimpleNamespace(prepare=lambda label: SimpleNamespace(pixels=label))
    list(precision._candidates(b"", "int8", exact, table))
    assert len(seen) == 2
    for side in seen:
        counts = [side.count(label) for label in range(8)]
        assert max(counts) - min(counts) <= 2
