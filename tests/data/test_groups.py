import logging
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.data.manifest.groups import group_records
from dermtl.errors import ManifestError
from dermtl.kinds import Record


def records(rows: list[dict[str, str]]) -> list[Record]:
    return [Record(f"{i}.jpg", Path(), {"image": f"{i}.jpg", **row}, f"m.csv:{i + 2}") for i, row in enumerate(rows)]


def test_values_link_across_columns() -> None:
    rows = [
        {"patient_id": "1", "lesion_id": "a"},
        {"patient_id": "2", "lesion_id": "b"},
        {"patient_id": "", "lesion_id": "b"},
        {"patient_id": "2", "lesion_id": ""},
        {"patient_id": "3", "lesion_id": "1"},
        {"patient_id": " ", "lesion_id": ""},
    ]
    assert group_records(records(rows)) == [
        "lesion_id=a", "lesion_id=b", "lesion_id=b", "lesion_id=b", "lesion_id=1", "5.jpg",
    ]  # fmt: skip
    assert group_records(records(rows), ["patient_id"])[:4] == ["patient_id=1", "patient_id=2", "2.jpg", "patient_id=2"]
    assert group_records(records(rows), [])[0] == "0.jpg"
    assert group_records([]) == []


def test_default_columns_are_those_that_exist() -> None:
    assert group_records(records([{"label": "x"}] * 2)) == ["0.jpg", "1.jpg"]
    assert group_records(records([{"group": "g"}] * 2)) == ["group=g", "group=g"]


def test_a_named_column_must_exist() -> None:
    with pytest.raises(ManifestError, match=r"m\.csv: no column 'eye' to group by \(the columns are image, group\)"):
        group_records(records([{"group": "g"}]), ["eye"])


@given(st.lists(st.tuples(*[st.sampled_from(["", *"abcdef"])] * 3), min_size=1, max_size=25), st.randoms())
def test_equals_the_transitive_closure_whatever_the_order(rows: list[tuple[str, ...]], rng: random.Random) -> None:
    table = records([dict(zip("xyz", row, strict=True)) for row in rows])
    groups = group_records(table, ["x", "y", "z"])
    sets = [{(c, v) for c, v in zip("xyz", row, strict=True) if v} or {("image", r.image)}
            for row, r in zip(rows, table, strict=True)]  # fmt: skip
    reach = [set(s) for s in sets]
    for _ in rows:
        for mine in reach:
            for other in reach:
                if mine & other:
                    mine |= other
    for i in range(len(rows)):
        for j in range(len(rows)):
            assert (groups[i] == groups[j]) == bool(reach[i] & reach[j])
    order = list(range(len(rows)))
    rng.shuffle(order)
    assert group_records([table[i] for i in order], ["x", "y", "z"]) == [groups[i] for i in order]


def test_a_group_that_swallows_the_set_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        group_records(records([{"group": "unknown"}] * 30 + [{"group": str(i)} for i in range(30)]))
    assert "group=unknown holds 30 of 60" in caplog.text
