"""The whole examination: table, paths, pictures, truths, and what only shows when all are known."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.config.experiment import Data, Experiment
from dermtl.data.ahead import in_threads
from dermtl.data.doctor.belonging import check_few, check_groups, check_repeats, check_sides, check_split
from dermtl.data.doctor.cells import check_circle, check_numbers, check_one_hot, number_columns
from dermtl.data.doctor.finding import Finding, found
from dermtl.data.doctor.locked import check_lock
from dermtl.data.doctor.outline import Outline, check_levels, look_outline
from dermtl.data.doctor.paths import check_path, missing
from dermtl.data.doctor.picture import Picture, look
from dermtl.data.doctor.report import Report
from dermtl.data.doctor.roles import Roles
from dermtl.data.doctor.rows import Table, read_rows
from dermtl.data.doctor.spellings import check_classes, check_ids
from dermtl.data.folders import look_around
from dermtl.data.groups import group_records
from dermtl.data.manifest import read_manifest
from dermtl.data.missing import MissingWords
from dermtl.errors import DataError, ManifestError
from dermtl.imaging.header import Header
from dermtl.imaging.known import NOTES
from dermtl.kinds import Kind, Record
from dermtl.kinds.record import inside

_SHOWN = 5


@dataclass(frozen=True)
class _Look:
    """One record's files."""

    record: Record
    picture: Picture
    outlines: Sequence[Outline]
    findings: Sequence[Finding]


def examine(manifest: Path, experiment: Experiment | None = None, kinds: Mapping[str, Kind] | None = None) -> Report:
    """Look for every known fault of a data set.

    Args:
        manifest: A CSV, or a folder of class folders.
        experiment: Says which columns matter, and where the pictures lie if the manifest is the experiment's own;
            None: the usual column names, and pictures beside the table.
        kinds: With an experiment: head to the kind of its truth.
    """
    start = time.perf_counter()
    root = _root(manifest, experiment)
    table = _read_folders(manifest) if manifest.is_dir() else read_rows(manifest)
    words = MissingWords(experiment.data.missing) if experiment is not None else MissingWords()
    table.rows = list(words.emptied(table.rows))
    cells = [row for _, row in table.rows]
    roles = Roles.guess(table.columns, cells)
    if experiment is not None:
        roles = Roles.declare(experiment, kinds or {}, cells)
    findings = [*table.findings, *_missing_words(words, len(cells))]
    lacking = [column for column in roles.columns if column not in table.columns] if table.columns else []
    known = ", ".join(table.columns)
    for column in lacking:
        message = f"no column {column!r}; the columns are {known}"
        findings.append(found("no-column", f"{table.name}:1", message, column=column))
    looks: list[_Look] = []
    if roles.image in table.columns:
        roles = roles.without(lacking)
        records = list(_records(table, root, roles.image, findings))
        looks = list(in_threads(lambda record: _look(record, roles), records))
        for seen in looks:
            findings += [*seen.findings, *seen.picture.findings]
            findings += [finding for outline in seen.outlines for finding in outline.findings]
        findings += _cells(looks, roles)
        findings += _together(looks, roles)
    findings += list(check_lock(manifest, table, findings))
    order = {where: index for index, (where, _) in enumerate(table.rows)}
    findings.sort(key=lambda finding: (finding.row or order.get(finding.where, 0), finding.where))
    return Report(str(manifest), findings, len(looks), time.perf_counter() - start)


def _missing_words(words: MissingWords, num: int) -> Iterator[Finding]:
    for (column, word), count in words.counts.items():
        message = f"{word!r} stands in {count} of {num} cells, which read as empty ones"
        yield found("missing-words", words.firsts[column, word], message, column=column)


def _root(manifest: Path, experiment: Experiment | None) -> Path:
    if experiment is not None:
        own = experiment.data.root / experiment.data.manifest
        if own.exists() and manifest.exists() and own.samefile(manifest):
            return experiment.data.root
    return manifest if manifest.is_dir() else manifest.parent


def _read_folders(folder: Path) -> Table:
    try:
        records = read_manifest(Data(root=folder, manifest="."))
    except (ManifestError, OSError) as error:
        message = error.message if isinstance(error, ManifestError) else f"cannot be read: {error.strerror}"
        hint = error.hint if isinstance(error, ManifestError) else ""
        return Table(folder.name, findings=[found("class-folders", str(folder), message, hint=hint)])
    others = [path for path in look_around(folder).others if path.suffix.lower() not in NOTES]
    findings = []
    if others:
        names = ", ".join(path.name for path in others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
        message = f"{len(others)} files are no pictures that dermtl reads: {names}"
        findings.append(found("passed-over", str(folder), message))
    return Table(folder.name, list(records[0].cells), [(record.where, record.cells) for record in records], findings)


def _records(table: Table, root: Path, column: str, findings: list[Finding]) -> Iterator[Record]:
    """Rows with a path to look at; paths that leave the root are reported and passed over."""
    for where, cells in table.rows:
        text = cells[column].strip()
        if not text:
            findings.append(found("empty-image", where, "expected a path, got an empty cell", column=column))
            continue
        findings += check_path(text, root, where, column)
        image = inside(text)
        if image is not None:
            yield Record(image, root, cells, where)


def _look(record: Record, roles: Roles) -> _Look:
    findings: list[Finding] = []
    picture = Picture(None, None, ())
    if record.path.is_file():
        picture = look(record.path, record.where, roles.image)
    else:
        findings.append(missing(record.image, record.root, record.where, roles.image, code="missing-file"))
    outlines = [
        outline
        for kind in roles.masks
        for outline in [_look_outline(record, kind.column, picture.header, findings, is_numbered=len(kind.classes) > 1)]
        if outline is not None
    ]
    for other in roles.others:
        try:
            other.read(record)
        except DataError as error:
            findings.append(found("annotation", record.where, error.message, hint=error.hint))
    return _Look(record, picture, outlines, findings)


def _look_outline(
    record: Record, column: str, image: Header | None, findings: list[Finding], *, is_numbered: bool
) -> Outline | None:
    text = record.cells[column].strip()
    if not text:
        return None
    findings += check_path(text, record.root, record.where, column)
    path = inside(text)
    if path is None:
        return None
    if not (record.root / path).is_file():
        findings.append(missing(path, record.root, record.where, column, code="mask-missing"))
        return None
    return look_outline(record.root / path, path, image, record.where, column, is_numbered=is_numbered)


def _cells(looks: Sequence[_Look], roles: Roles) -> Iterator[Finding]:
    """What the cells say, beside the pictures' sizes."""
    records = [seen.record for seen in looks]
    for kind in roles.categories:
        yield from check_classes(records, kind.column)
        for record in records if kind.classes else ():
            try:
                kind.read(record)
            except DataError as error:
                yield found("unknown-class", record.where, error.message, column=kind.column, hint=error.hint)
    numbers = roles.numbers
    if not roles.is_declared:
        truths = [*(kind.column for kind in roles.categories), *(kind.column for kind in roles.masks)]
        texts = {roles.image, roles.split or "", *roles.groups, *truths}
        numbers = list(dict.fromkeys([*numbers, *number_columns(records, texts)]))
        yield from check_one_hot(records, [column for column in numbers if column not in roles.numbers])
    for column in numbers:
        yield from check_numbers(records, column)
    for circle in roles.circles:
        for seen in looks:
            header = seen.picture.header
            yield from check_circle(seen.record, circle, header.size_hw if header else None)


def _together(looks: Sequence[_Look], roles: Roles) -> Iterator[Finding]:
    """What only shows when all rows are known."""
    records = [seen.record for seen in looks]
    yield from check_repeats(records, roles.image)
    for kind in roles.masks:
        yield from check_levels([o for seen in looks for o in seen.outlines if o.column == kind.column], kind)
    yield from _modes(looks, roles.image)
    yield from _taken_as_it_is(looks, roles.image)
    yield from check_groups(records, roles.groups)
    for column in roles.groups:
        yield from check_ids(records, column)
    groups = group_records(records, roles.groups)
    yield from _equal(looks, groups, roles)
    for category in roles.categories:
        yield from check_few(records, category.column, groups)
    if roles.split is not None:
        yield from check_split(records, roles.split, groups)
        labels = [kind.column for kind in roles.categories]
        yield from check_sides(records, roles.split, labels, is_declared=roles.is_declared)


def _modes(looks: Sequence[_Look], column: str) -> Iterator[Finding]:
    """Channels and depths that differ from the most frequent ones, at their first picture."""
    modes = [seen.picture.header.mode if seen.picture.header else "" for seen in looks]
    nums = Counter(mode for mode in modes if mode)
    usual = nums.most_common(1)[0] if nums else ("", 0)
    for mode, num in nums.items():
        if mode != usual[0]:
            message = f"{num} pictures have mode {mode}, {usual[1]} have {usual[0]}; this is the first"
            yield found("mixed-modes", looks[modes.index(mode)].record.where, message, column=column)


def _taken_as_it_is(looks: Sequence[_Look], column: str) -> Iterator[Finding]:
    """Ranges and colour profiles that training does not correct, each at its first picture."""
    narrow = [seen for seen in looks if seen.picture.bits is not None]
    if narrow:
        bits = max(seen.picture.bits or 0 for seen in narrow)
        message = (
            f"{len(narrow)} pictures of 16 bits use {bits} bits at most and become nearly black; this is the first"
        )
        yield found("narrow-range", narrow[0].record.where, message, column=column)
    profiles = [(seen.picture.header.profile if seen.picture.header else "", seen.record.where) for seen in looks]
    for profile, num in Counter(profile for profile, _ in profiles if profile).items():
        where = next(where for other, where in profiles if other == profile)
        message = f"{num} pictures have a colour profile {profile}; this is the first"
        yield found("colour-profile", where, message, column=column)


def _equal(looks: Sequence[_Look], groups: Sequence[str], roles: Roles) -> Iterator[Finding]:
    """Equal pixels under two names."""
    same: dict[bytes, list[tuple[Record, str]]] = defaultdict(list)
    for seen, group in zip(looks, groups, strict=True):
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
