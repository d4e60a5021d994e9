"""The whole examination: table, paths, pictures, truths, and what only shows when all are known."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dermtl.config.experiment import Data, Experiment
from dermtl.data.checks.column_roles import Roles
from dermtl.data.checks.finding import Finding, found
from dermtl.data.checks.inspect_record import InspectedRecord, inspect_record
from dermtl.data.checks.lock_check import check_lock
from dermtl.data.checks.paths import check_path
from dermtl.data.checks.report import Report
from dermtl.data.checks.rows import Table, read_rows
from dermtl.data.checks.spellings import check_classes
from dermtl.data.checks.values import check_circle, check_numbers, check_one_hot, number_columns
from dermtl.data.checks.whole_table import check_together
from dermtl.data.manifest.folders import first_names, look_around
from dermtl.data.manifest.missing import MissingWords
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import DataError, ManifestError
from dermtl.files.prefetch import in_threads
from dermtl.kinds import Kind, Record
from dermtl.kinds.record import safe_relative_path


def check_dataset(
    manifest: Path, experiment: Experiment | None = None, kinds: Mapping[str, Kind] | None = None
) -> Report:
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
    inspected: list[InspectedRecord] = []
    if roles.image in table.columns:
        roles = roles.without(lacking)
        records = list(_records(table, root, roles.image, findings))
        inspected = list(in_threads(lambda record: inspect_record(record, roles), records))
        for seen in inspected:
            findings += [*seen.findings, *seen.picture.findings]
            findings += [finding for mask in seen.masks for finding in mask.findings]
        findings += _cells(inspected, roles)
        findings += check_together(inspected, roles)
    findings += list(check_lock(manifest, table, findings))
    order = {where: index for index, (where, _) in enumerate(table.rows)}
    findings.sort(key=lambda finding: (finding.row or order.get(finding.where, 0), finding.where))
    return Report(str(manifest), findings, len(inspected), time.perf_counter() - start)


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
    findings = []
    if others := look_around(folder).unread:
        names = first_names(others)
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
        image = safe_relative_path(text)
        if image is not None:
            yield Record(image, root, cells, where)


def _cells(inspected: Sequence[InspectedRecord], roles: Roles) -> Iterator[Finding]:
    """What the cells say, beside the pictures' sizes."""
    records = [seen.record for seen in inspected]
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
        for seen in inspected:
            header = seen.picture.header
            yield from check_circle(seen.record, circle, header.size_hw if header else None)
