"""Dealing records out to train, val and test by whole groups, and keeping what was dealt.

A group never stands on two sides. Dealing depends on the seed, the groups and the classes, not on the order of rows.
"""

import hashlib
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dermtl.config.experiment import Data
from dermtl.data.duplicates.near_duplicates import Copy
from dermtl.data.manifest.crossing import refuse_copies, refuse_leaks
from dermtl.data.manifest.groups import group_records, merge_groups
from dermtl.data.manifest.read import SPLITS
from dermtl.errors import ManifestError
from dermtl.files.table import read_table, write_table
from dermtl.kinds.record import Record

_log = logging.getLogger(__name__)
NAMES = ("train", "val", "test")
BALANCE = ("split", "class", "images", "groups")
_ALL = None  # the stratum that every record is in


def split_records(
    records: Sequence[Record], data: Data, stratify: str | None = None, *, copies: Sequence[Copy] = ()
) -> list[Record]:
    """The records with group and split filled, in their order.

    Args:
        records: All records of one manifest.
        data: Where ``split.column`` or ``split.file`` is set, it says who is where; else the fractions do.
        stratify: Column whose values every split should hold in equal shares; ``data.split.stratify`` comes first.
        copies: Pictures that must stay together; those to be reviewed do not count.

    Raises:
        LeakageError: The column or the file puts one group, or copies, on two sides; unless ``data.allow_leakage``.
        ManifestError: A column does not exist or holds another value, or there are too few groups.
    """
    sure = [copy for copy in copies if copy.is_sure]
    groups = merge_groups(group_records(records, data.group), ((copy.one, copy.other) for copy in sure))
    if data.split.column is not None:
        splits = [_named(record, data.split.column) for record in records]
    elif data.split.file is not None:
        splits = [record.split for record in read_splits(data.split.file, records, allow_leakage=data.allow_leakage)]
    elif data.split.folds is not None:
        num, test = data.split.folds, data.split.fold
        side = {str(test): "test", str((test + 1) % num): "val"}
        folds = fold_records(records, data, num, stratify, copies=copies)
        splits = [side.get(record.split, "train") for record in folds]
    else:
        if records and "split" in records[0].cells:
            _log.warning("the manifest's column 'split' is not used; data.split.column: split uses it")
        shares = {"train": data.split.train, "val": data.split.val, "test": data.split.test}
        strata = _strata(records, data.split.stratify or stratify)
        dealt = assign_groups(groups, strata, shares, seed=data.split.seed)
        splits = [dealt[group] for group in groups]
    placed = [
        replace(record, group=group, split=split) for record, group, split in zip(records, groups, splits, strict=True)
    ]
    if not data.allow_leakage:
        refuse_copies(placed, sure)
        refuse_leaks(placed)
    return placed


def fold_records(
    records: Sequence[Record], data: Data, num: int, stratify: str | None = None, *, copies: Sequence[Copy] = ()
) -> list[Record]:
    """The records with group filled, and as split the number of their fold, ``0`` to ``num - 1``.

    Raises:
        ManifestError: A column does not exist, or there are fewer groups than folds.
    """
    links = ((copy.one, copy.other) for copy in copies if copy.is_sure)
    groups = merge_groups(group_records(records, data.group), links)
    shares = {str(fold): 1 / num for fold in range(num)}
    dealt = assign_groups(groups, _strata(records, data.split.stratify or stratify), shares, seed=data.split.seed)
    return [replace(record, group=group, split=dealt[group]) for record, group in zip(records, groups, strict=True)]


def assign_groups(
    groups: Sequence[str], strata: Sequence[str], shares: Mapping[str, float], *, seed: int = 0
) -> dict[str, str]:
    """Give every group a split.

    Large groups go first, groups of one size in an order drawn by the seed. A group goes where it lowers most, or
    raises least, the sum over classes of (images - target)^2 / target; all images together count as one more class.

    Args:
        groups: The group of every image.
        strata: The class of every image.
        shares: Split to share of the images, 0..1.
        seed: Draws the order of groups of one size.

    Returns:
        Group to split.

    Raises:
        ManifestError: A split would stay empty.
    """
    members: dict[str, Counter[str | None]] = defaultdict(Counter)
    for group, stratum in zip(groups, strata, strict=True):
        members[group].update((stratum, _ALL))
    totals: Counter[str | None] = Counter(strata)
    totals[_ALL] = len(groups)
    shares = {split: share for split, share in shares.items() if share > 0}
    target = {split: {stratum: share * num for stratum, num in totals.items()} for split, share in shares.items()}
    missing = {split: dict(wanted) for split, wanted in target.items()}
    order = sorted(members, key=lambda group: (-members[group][_ALL], _draw(seed, group)))
    dealt: dict[str, str] = {}
    for group in order:
        nums = members[group].items()
        costs = {
            # Exactly rounded: a plain sum depends on the order of its terms, which is that of the rows.
            split: math.fsum(
                (num - 2 * missing[split][stratum]) * num / target[split][stratum] for stratum, num in nums
            )
            for split in shares
        }
        best = min(costs, key=costs.__getitem__)
        for member, num in nums:
            missing[best][member] -= num
        dealt[group] = best
    empty = shares.keys() - set(dealt.values())
    if empty:
        raise ManifestError(
            f"{len(order)} groups are too few for these fractions: {', '.join(sorted(empty))} would stay empty",
            hint="add pictures, or set the fraction to 0",
        )
    return dealt


def balance(records: Sequence[Record], stratify: str | None = None) -> list[tuple[str, str, int, int]]:
    """How many images and groups of each class each split holds.

    Returns:
        (split, class, images, groups): train, val and test in this order, folds by number; classes by name, and
        last the sum of the split as class ``all``.
    """
    images: Counter[tuple[str, str]] = Counter()
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record, stratum in zip(records, _strata(records, stratify), strict=True):
        for key in {(record.split, stratum or "(none)" if stratify else "all"), (record.split, "all")}:
            images[key] += 1
            groups[key].add(record.group)
    order = sorted(images, key=lambda key: (_place(key[0]), key[1] == "all", key[1]))
    return [(*key, images[key], len(groups[key])) for key in order]


def write_splits(folder: Path, records: Sequence[Record], stratify: str | None = None) -> None:
    """Write ``splits.csv`` (image, group, split) and ``balance.csv`` into a folder."""
    rows = ((record.image, record.group, record.split) for record in records)
    write_table(folder / "splits.csv", ("image", "group", "split"), rows)
    write_table(folder / "balance.csv", BALANCE, balance(records, stratify))


def write_folds(folder: Path, records: Sequence[Record], stratify: str | None = None) -> None:
    """Write ``splits.csv`` (image, group, fold) and ``balance.csv`` into a folder."""
    rows = ((record.image, record.group, record.split) for record in records)
    write_table(folder / "splits.csv", ("image", "group", "fold"), rows)
    write_table(folder / "balance.csv", BALANCE, balance(records, stratify))


def read_splits(path: Path, records: Sequence[Record], *, allow_leakage: bool = False) -> list[Record]:
    """The records with group and split as a stored ``splits.csv`` says.

    Raises:
        ManifestError: The file is not such a table, or its pictures are not those of the records.
        LeakageError: The file puts one group on two sides of the split.
    """
    stored: dict[str, tuple[str, str]] = {}
    for where, cells in read_table(path):
        if not {"image", "group", "split"} <= set(cells):
            raise ManifestError("expected the columns image, group and split", where=str(path))
        if cells["split"] not in NAMES:
            raise ManifestError(f"expected one of {', '.join(NAMES)}, got {cells['split']!r}", where=where)
        if cells["image"] in stored:
            raise ManifestError(f"the picture {cells['image']!r} stands twice", where=where)
        stored[cells["image"]] = cells["group"], cells["split"]
    hint = "the manifest changed since the split was stored; split again"
    for record in records:
        if record.image not in stored:
            raise ManifestError(f"{record.image!r} is not in {path}", where=record.where, hint=hint)
    if len(stored) > len(records):
        extra = min(stored.keys() - {record.image for record in records})
        raise ManifestError(f"{extra!r} is not in the manifest", where=str(path), hint=hint)
    placed = [replace(record, group=stored[record.image][0], split=stored[record.image][1]) for record in records]
    if not allow_leakage:
        refuse_leaks(placed)
    return placed


def _named(record: Record, column: str) -> str:
    _require(record, column)
    text = record.cells[column].strip()
    split = SPLITS.get(text.lower())
    if split is None:
        raise ManifestError(f"column {column!r}: expected train, val or test, got {text!r}", where=record.where)
    return split


def _strata(records: Sequence[Record], column: str | None) -> list[str]:
    if column is None or not records:
        return [""] * len(records)
    _require(records[0], column)
    return [record.cells[column].strip() for record in records]


def _require(record: Record, column: str) -> None:
    if column not in record.cells:
        where, hint = record.where.rpartition(":")[0], f"the columns are {', '.join(record.cells)}"
        raise ManifestError(f"no column {column!r}", where=where, hint=hint)


def _place(split: str) -> tuple[int, str]:
    """Where a split stands in lists: by its own order, or by the number of a fold."""
    return (NAMES.index(split), "") if split in NAMES else (int(split) if split.isdecimal() else len(NAMES), split)


def _draw(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
