"""Rows beside one another: repeated rows, groups, splits, classes with too few groups. Opens no file."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from dermtl.data.checks.finding import Finding, found
from dermtl.data.manifest.people import COLUMNS, unused_columns
from dermtl.data.manifest.read import SPLITS
from dermtl.kinds import Record

_GIANT, _GIANT_NUM = 0.05, 20  # more than both is more often a fault of a column than a patient
_HALF_NUM = 10


def check_repeats(records: Sequence[Record], column: str) -> Iterator[Finding]:
    """Rows and paths that stand twice, and paths that differ in case only."""
    firsts: dict[str, Record] = {}
    cases: dict[str, Record] = {}
    for record in records:
        first = firsts.setdefault(record.image, record)
        if first is not record:
            same = list(first.cells.values()) == list(record.cells.values())
            code, what = ("duplicate-row", "the row") if same else ("duplicate-path", f"the picture {record.image!r}")
            yield found(code, record.where, f"{what} stands already at {first.where}", column="" if same else column)
            continue
        twin = cases.setdefault(record.image.casefold(), record)
        if twin is not record and record.path.exists():
            message = f"{record.image!r} and {twin.image!r} ({twin.where}) are one file where case does not count"
            yield found("path-case", record.where, message, column=column)


def check_groups(records: Sequence[Record], columns: Sequence[str]) -> Iterator[Finding]:
    """Groups that swallow the data, rows without one, and columns that look like ids and are not used."""
    for column, num in unused_columns([record.cells for record in records], columns).items():
        message = f"column {column!r} has {num} values for {len(records)} pictures and looks like ids, but is not used"
        where = records[0].where.rpartition(":")[0] + ":1"
        yield found("group-unused", where, message, column=column)
    for column in columns:
        nums = Counter(text for record in records if (text := record.cells[column].strip()))
        if not nums:
            continue
        giant, num = nums.most_common(1)[0]
        if num > max(_GIANT_NUM, _GIANT * len(records)) or (num > len(records) / 2 and num >= _HALF_NUM):
            where = next(record.where for record in records if record.cells[column].strip() == giant)
            yield found("giant-group", where, f"{giant!r} holds {num} of {len(records)} pictures", column=column)
        # Who has a patient needs no lesion: the patient holds them together.
        coarser = [other for other in columns if other in COLUMNS[: COLUMNS.index(column)]] if column in COLUMNS else []
        for record in records:
            if not any(record.cells[name].strip() for name in (*coarser, column)):
                message = f"the cell is empty, {nums.total()} other rows have one"
                yield found("group-missing", record.where, message, column=column)


def check_split(records: Sequence[Record], column: str, groups: Sequence[str]) -> Iterator[Finding]:
    """Values that name no split, and groups on two sides; ``groups`` holds the group of every record."""
    firsts: dict[str, tuple[str, Record]] = {}
    for record, group in zip(records, groups, strict=True):
        text = record.cells[column].strip()
        side = SPLITS.get(text.lower())
        if side is None:
            yield found("split-value", record.where, f"expected train, val or test, got {text!r}", column=column)
            continue
        other, first = firsts.setdefault(group, (side, record))
        if other != side:
            message = f"group {group!r} is in {side} here and in {other} at {first.where}"
            yield found("group-split", record.where, message, column=column)


def check_sides(
    records: Sequence[Record], column: str, labels: Sequence[str], *, is_declared: bool
) -> Iterator[Finding]:
    """Sides of a split without pictures or without classes, and classes that train has not.

    Args:
        records: All rows.
        column: That of the split.
        labels: Columns of classes.
        is_declared: Whether heads learn them; else a column of one class may be there for another purpose, and is a
            warning only.
    """
    sides: dict[str, list[Record]] = {side: [] for side in dict.fromkeys(SPLITS.values())}
    for record in records:
        if side := SPLITS.get(record.cells[column].strip().lower()):
            sides[side].append(record)
    table = records[0].where.rpartition(":")[0] if records else ""
    for side, mine in sides.items():
        if not mine:
            yield found("split-empty", f"{table}:1", f"no picture is in {side}", column=column)
    for label in labels:
        classes = {side: {text for r in mine if (text := r.cells[label].strip())} for side, mine in sides.items()}
        yield from check_one_class(sides["train"], label, " in train", is_declared=is_declared)
        for side, mine in sides.items():
            if mine and not classes[side]:
                message = f"none of the {len(mine)} pictures in {side} has a class"
                yield found("split-no-truth", mine[0].where, message, column=label)
            for name in sorted(classes[side] - classes["train"]) if classes["train"] else ():
                where = next(record.where for record in mine if record.cells[label].strip() == name)
                yield found("split-class", where, f"class {name!r} is in {side}, and not in train", column=label)


def check_one_class(records: Sequence[Record], column: str, where: str = "", *, is_declared: bool) -> Iterator[Finding]:
    """All rows of one class, from which nothing can be learned; ``where`` says which rows they are."""
    classes = {text for record in records if (text := record.cells[column].strip())}
    if len(classes) == 1:
        code = "split-one-class" if is_declared else "one-class"
        yield found(code, records[0].where, f"all pictures{where} are {classes.pop()!r}", column=column)


def check_few(records: Sequence[Record], column: str, groups: Sequence[str]) -> Iterator[Finding]:
    """Classes with fewer than two groups."""
    members: dict[str, set[str]] = defaultdict(set)
    firsts: dict[str, Record] = {}
    for record, group in zip(records, groups, strict=True):
        if text := record.cells[column].strip():
            members[text].add(group)
            firsts.setdefault(text, record)
    if len(members) < 2:
        return
    for name, own in members.items():
        if len(own) < 2:
            near = get_close_matches(name, [other for other in members if other != name and len(members[other]) > 2], 1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            message = f"class {name!r} has one group of pictures"
            yield found("few-groups", firsts[name].where, message, column=column, hint=hint)
