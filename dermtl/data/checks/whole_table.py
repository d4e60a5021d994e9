"""What only shows when all rows are known: repeats, equal pixels, odd modes and ranges, groups, classes and sides."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from dermtl.data.checks.column_roles import Roles
from dermtl.data.checks.finding import Finding, found
from dermtl.data.checks.groups_and_splits import (
    check_few,
    check_groups,
    check_one_class,
    check_repeats,
    check_sides,
    check_split,
)
from dermtl.data.checks.inspect_record import InspectedRecord
from dermtl.data.checks.mask import check_levels
from dermtl.data.checks.spellings import check_ids
from dermtl.data.manifest.groups import group_records
from dermtl.kinds import Record


def check_together(inspected: Sequence[InspectedRecord], roles: Roles) -> Iterator[Finding]:
    """What only shows when all rows are known."""
    records = [seen.record for seen in inspected]
    yield from check_repeats(records, roles.image)
    for kind in roles.masks:
        yield from check_levels([o for seen in inspected for o in seen.masks if o.column == kind.column], kind)
    yield from _modes(inspected, roles.image)
    yield from _taken_as_it_is(inspected, roles.image)
    yield from check_groups(records, roles.groups)
    for column in roles.groups:
        yield from check_ids(records, column)
    groups = group_records(records, roles.groups)
    yield from _equal(inspected, groups, roles)
    for category in roles.categories:
        yield from check_few(records, category.column, groups)
        if roles.split is None:
            yield from check_one_class(records, category.column, is_declared=roles.is_declared)
    if roles.split is not None:
        yield from check_split(records, roles.split, groups)
        labels = [kind.column for kind in roles.categories]
        yield from check_sides(records, roles.split, labels, is_declared=roles.is_declared)


def _modes(inspected: Sequence[InspectedRecord], column: str) -> Iterator[Finding]:
    """Channels and depths that differ from the most frequent ones, at their first picture."""
    modes = [seen.picture.header.mode if seen.picture.header else "" for seen in inspected]
    nums = Counter(mode for mode in modes if mode)
    usual = nums.most_common(1)[0] if nums else ("", 0)
    for mode, num in nums.items():
        if mode != usual[0]:
            message = f"{num} pictures have mode {mode}, {usual[1]} have {usual[0]}; this is the first"
            yield found("mixed-modes", inspected[modes.index(mode)].record.where, message, column=column)


def _taken_as_it_is(inspected: Sequence[InspectedRecord], column: str) -> Iterator[Finding]:
    """Ranges and colour profiles that training does not correct, each at its first picture."""
    narrow = [seen for seen in inspected if seen.picture.bits is not None]
    if narrow:
        bits = max(seen.picture.bits or 0 for seen in narrow)
        message = (
            f"{len(narrow)} pictures of 16 bits use {bits} bits at most and become nearly black; this is the first"
        )
        yield found("narrow-range", narrow[0].record.where, message, column=column)
    profiles = [(seen.picture.header.profile if seen.picture.header else "", seen.record.where) for seen in inspected]
    for profile, num in Counter(profile for profile, _ in profiles if profile).items():
        where = next(where for other, where in profiles if other == profile)
        message = f"{num} pictures have a colour profile {profile}; this is the first"
        yield found("colour-profile", where, message, column=column)


def _equal(inspected: Sequence[InspectedRecord], groups: Sequence[str], roles: Roles) -> Iterator[Finding]:
    """Equal pixels under two names."""
    same: dict[bytes, list[tuple[Record, str]]] = defaultdict(list)
    for seen, group in zip(inspected, groups, strict=True):
        if seen.picture.digest is not None:
            same[seen.picture.digest].append((seen.record, group))
    columns = [kind.column for kind in roles.categories]
    for (first, home), *others in same.values():
        for record, group in others:
            if record.image == first.image:
                continue
            message = f"{record.image!r} has the pixels of {first.image!r} ({first.where})"
            labels = [(first.cells[column].strip(), record.cells[column].strip()) for column in columns]
            unlike = [f"{one!r} and {other!r}" for one, other in labels if one != other and one and other]
            if unlike:
                message += f", but the labels are {', '.join(unlike)}"
                yield found("equal-pixels-labels", record.where, message, column=roles.image)
            elif group == home:
                message += f" of the same group {group!r}"
                yield found("equal-pixels", record.where, message, column=roles.image, hint="keep one")
            else:
                yield found("equal-pixels", record.where, message, column=roles.image)
