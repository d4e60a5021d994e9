import csv
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.config.experiment import Data, Split
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import assign_groups, balance, read_splits, split_records, write_splits
from dermtl.errors import LeakageError, ManifestError
from dermtl.kinds import Record

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def table(rows: list[dict[str, str]]) -> list[Record]:
    return [Record(f"{i}.jpg", Path(), {"image": f"{i}.jpg", **row}, f"m.csv:{i + 2}") for i, row in enumerate(rows)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("aab")), min_size=80, max_size=300), st.integers(0, 9))
def test_groups_stay_whole_and_order_does_not_matter(rows: list[tuple[int, str]], seed: int) -> None:
    records = table([{"group": str(group), "label": label} for group, label in rows])
    data = Data(split=Split(seed=seed))
    try:
        placed = split_records(records, data, "label")
    except ManifestError:
        return  # too few groups
    sides: dict[str, set[str]] = {}
    for record in placed:
        sides.setdefault(record.group, set()).add(record.split)
    assert all(len(side) == 1 for side in sides.values())
    shuffled = records[:]
    random.Random(seed).shuffle(shuffled)
    again = {record.image: record.split for record in split_records(shuffled, data, "label")}
    assert again == {record.image: record.split for record in placed}


@pytest.mark.parametrize("trial", [*range(30), 46, 126, 166, 168, 390, 400, 452, 498])
def test_groups_of_several_classes_do_not_depend_on_the_order_of_rows(trial: int) -> None:
    """Groups of many classes, where the last bit of a sum may decide; in the last eight sets it did."""
    draw = random.Random(trial)
    num = draw.randint(60, 400)
    rows = [(f"g{draw.randrange(num // 4)}", f"s{draw.randrange(6)}") for _ in range(num)]
    shares = SHARES if trial % 2 else {str(fold): 1 / 5 for fold in range(5)}
    dealt = assign_groups(*zip(*rows, strict=True), shares)
    for _ in range(6):
        draw.shuffle(rows)
        assert assign_groups(*zip(*rows, strict=True), shares) == dealt


@pytest.mark.parametrize("seed", range(3))
def test_every_class_gets_its_share_and_the_seed_matters(seed: int) -> None:
    labels = ["common"] * 800 + ["rare"] * 40 + [""] * 60
    groups = [str(i // 2) for i in range(len(labels))]
    splits = assign_groups(groups, labels, SHARES, seed=seed)
    counts = Counter((splits[group], label) for group, label in zip(groups, labels, strict=True))
    for label, num in Counter(labels).items():
        for split, share in SHARES.items():
            assert abs(counts[split, label] - share * num) <= 2
    assert splits != assign_groups(groups, labels, SHARES, seed=seed + 1)


def test_a_share_of_nothing_gets_nothing() -> None:
    splits = assign_groups([str(i) for i in range(10)], [""] * 10, {"train": 0.8, "val": 0.2, "test": 0.0})
    assert Counter(splits.values()) == {"train": 8, "val": 2}


def test_too_few_groups_is_a_fault_not_an_empty_split() -> None:
    with pytest.raises(ManifestError, match=r"2 groups are too few.*would stay empty"):
        split_records(table([{"group": "a"}, {"group": "b"}] * 10), Data())


def test_a_column_says_who_is_where() -> None:
    names = ["train", "Valid", "validation", "val", "test "]
    records = table([{"set": name} for name in names])
    placed = split_records(records, Data(split=Split(column="set")))
    assert [record.split for record in placed] == ["train", "val", "val", "val", "test"]
    with pytest.raises(ManifestError, match=r"m\.csv:2: column 'set': expected train, val or test, got 'hold-out'"):
        split_records(table([{"set": "hold-out"}]), Data(split=Split(column="set")))
    with pytest.raises(ManifestError, match="no column 'fold'"):
        split_records(records, Data(split=Split(column="fold")))


def test_a_group_on_two_sides_is_named_with_both_pictures() -> None:
    rows = [{"set": "train", "patient_id": "7"}, {"set": "test", "patient_id": "8"}, {"set": "test", "patient_id": "7"}]
    with pytest.raises(LeakageError) as caught:
        split_records(table(rows), Data(split=Split(column="set")))
    for word in ("patient_id=7", "0.jpg", "m.csv:2", "2.jpg", "m.csv:4"):
        assert word in str(caught.value)


def test_the_config_names_the_stratum_before_the_caller() -> None:
    with pytest.raises(ManifestError, match="no column 'sex'"):
        split_records(table([{"label": "a"}]), Data(split=Split(stratify="sex")), "label")


def test_splits_are_stored_and_read_back(tmp_path: Path, drawn: Path) -> None:
    records = read_manifest(Data(root=drawn))
    placed = split_records(records, Data(root=drawn), "label")
    write_splits(tmp_path, placed, "label")
    path = tmp_path / "splits.csv"
    assert path.read_text().splitlines()[0] == "image,group,split"
    assert read_splits(path, records) == placed
    with pytest.raises(ManifestError, match=r"manifest\.csv:2.*is not in.*splits\.csv.*split again"):
        read_splits(path, [replace(records[0], image="new.jpg"), *records[1:]])
    with pytest.raises(ManifestError, match=r"splits\.csv.*is not in the manifest"):
        read_splits(path, records[1:])
    with (tmp_path / "balance.csv").open() as file:
        rows = list(csv.DictReader(file))
    sums = Counter[str]()
    for row in rows:
        sums["all" if row["class"] == "all" else "classes"] += int(row["images"])
    assert sums == {"all": 24, "classes": 24}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("image,split\n0.jpg,train\n", ManifestError, "image, group and split"),
        ("image,group,split\n0.jpg,a,dev\n", ManifestError, "splits.csv:2"),
        ("image,group,split\n0.jpg,a,train\n1.jpg,a,val\n", LeakageError, "'a'"),
        ("image,group,split\n0.jpg,a,train\n0.jpg,a,val\n1.jpg,b,val\n", ManifestError, "splits.csv:3"),
    ],
)
def test_a_broken_store_is_refused(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(error, match=words):
        read_splits(tmp_path / "splits.csv", table([{}, {}]))


def test_balance_counts_images_and_groups() -> None:
    records = [
        replace(record, group=group, split=split)
        for record, group, split in zip(
            table([{"label": label} for label in ("a", "a", "b", "")]),
            "xxyz",
            ("train", "train", "val", "val"),
            strict=True,
        )
    ]
    assert balance(records, "label") == [
        ("train", "a", 2, 1),
        ("train", "all", 2, 1),
        ("val", "(none)", 1, 1),
        ("val", "b", 1, 1),
        ("val", "all", 2, 2),
    ]
    assert balance(records) == [("train", "all", 2, 1), ("val", "all", 2, 2)]


def test_folds_are_listed_by_number() -> None:
    folds = ["10", "2", "0", "11", "1"]
    records = [
        replace(record, group=record.image, split=split) for record, split in zip(table([{}] * 5), folds, strict=True)
    ]
    assert [row[0] for row in balance(records)] == ["0", "1", "2", "10", "11"]
    assert [row[0] for row in balance(records[::-1])] == ["0", "1", "2", "10", "11"]


def test_real_lesions_stay_on_one_side(shared: Path) -> None:
    data = Data(root=shared / "data" / "ham10000_224", manifest="labels.csv")
    placed = split_records(read_manifest(data), data, "label")
    sides: dict[str, set[str]] = {}
    for record in placed:
        sides.setdefault(record.cells["lesion_id"], set()).add(record.split)
    assert max(len(side) for side in sides.values()) == 1
    num = {(split, stratum): images for split, stratum, images, _ in balance(placed, "label")}
    assert num["train", "mel"] == pytest.approx(0.7 * 165, abs=2)
    assert num["test", "vasc"] == pytest.approx(0.15 * 62, abs=2)


def test_every_record_is_tested_in_one_fold_and_validates_in_another() -> None:
    records = table([{"group": str(i // 3), "label": "ab"[i % 2]} for i in range(60)])
    tested: Counter[str] = Counter()
    for fold in range(5):
        placed = split_records(records, Data(split=Split(folds=5, fold=fold)), "label")
        sides = {split: {r.group for r in placed if r.split == split} for split in ("train", "val", "test")}
        assert not sides["train"] & sides["test"]
        assert not sides["train"] & sides["val"]
        assert not sides["val"] & sides["test"]
        assert all(sides.values())
        tested.update(record.image for record in placed if record.split == "test")
    assert set(tested.values()) == {1}
    assert len(tested) == 60


def test_a_fold_beyond_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="below folds"):
        Split(folds=3, fold=3)
