"""Which records show the same picture: equal files, and copies that were turned, mirrored, rescaled or re-encoded."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.data.duplicates.alignment import thumbnail
from dermtl.data.duplicates.neighbours import near_pairs
from dermtl.data.duplicates.similarity import COPY, fingerprint, like_pairs, pairs_between
from dermtl.data.duplicates.verification import is_same_picture
from dermtl.data.manifest.preflight import located
from dermtl.errors import DataError
from dermtl.files.prefetch import in_threads
from dermtl.files.table import write_table
from dermtl.imaging.decode import read_image
from dermtl.kinds.record import Record

PAIRS = ("image_a", "image_b", "reason", "distance")


@dataclass(frozen=True)
class Copy:
    """Two records that show the same picture, or perhaps do.

    Attributes:
        one: Position of a record.
        other: Position of a later one.
        likeness: 1 for equal files.
        reason: ``equal file``; ``copy``: fingerprints and aligned pixels agree; ``review``: like fingerprints, for a
            person to judge; or ``features``: near to one another for a network, which is for a person to judge, too.
    """

    one: int
    other: int
    likeness: float
    reason: str

    @property
    def is_sure(self) -> bool:
        """Whether the two must stay together."""
        return self.reason not in ("review", "features")


def find_copies(records: Sequence[Record]) -> list[Copy]:
    """Compare every picture with every other.

    Raises:
        ImageReadError: A picture cannot be read.
    """
    looks = list(in_threads(_look, records))
    found: list[Copy] = []
    first: dict[str, int] = {}
    for index, (digest, _) in enumerate(looks):
        if (earlier := first.setdefault(digest, index)) != index:
            found.append(Copy(earlier, index, 1.0, "equal file"))
    distinct = np.array(sorted(first.values()), np.intp)
    if len(distinct):
        pairs = like_pairs(np.stack([looks[index][1] for index in distinct]))
        alike = [Copy(int(distinct[i]), int(distinct[j]), likeness, "review") for i, j, likeness in pairs]
        prints = [look for _, look in looks]
        found += _verified(alike, records, prints, records, prints)
    return found


def add_neighbours(copies: Sequence[Copy], features: Array) -> list[Copy]:
    """The copies, and the pairs that are near in features and not among them; float [N, D], a row a record."""
    known = {(copy.one, copy.other) for copy in copies}
    near = [Copy(i, j, cosine, "features") for i, j, cosine in near_pairs(features) if (i, j) not in known]
    return [*copies, *near]


def find_shared(records: Sequence[Record], others: Sequence[Record]) -> tuple[list[Copy], list[Record]]:
    """Compare every picture of one table with every one of another.

    Args:
        records: Records of one table; those whose pictures cannot be read are passed over.
        others: Records of the other table.

    Returns:
        The pairs, ``one`` a position in ``records`` and ``other`` one in ``others``; and the records passed over.

    Raises:
        ImageReadError: A picture of ``others`` cannot be read.
    """
    ours, theirs = list(in_threads(_try_look, records)), list(in_threads(_look, others))
    seen = [index for index, look in enumerate(ours) if look is not None]
    known = [look for look in ours if look is not None]
    unread = [record for record, look in zip(records, ours, strict=True) if look is None]
    if not known or not theirs:
        return [], unread
    first = {digest: index for index, (digest, _) in zip(reversed(seen), reversed(known), strict=True)}
    found = [Copy(first[digest], j, 1.0, "equal file") for j, (digest, _) in enumerate(theirs) if digest in first]
    equal = {(copy.one, copy.other) for copy in found}
    pairs = pairs_between(*(np.stack([look for _, look in looks]) for looks in (known, theirs)))
    alike = [Copy(seen[i], j, likeness, "review") for i, j, likeness in pairs if (seen[i], j) not in equal]
    prints = {index: look for index, (_, look) in zip(seen, known, strict=True)}
    return [*found, *_verified(alike, records, prints, others, [look for _, look in theirs])], unread


def write_copies(folder: Path, records: Sequence[Record], copies: Sequence[Copy]) -> None:
    """Write ``leakage_pairs.csv`` into a folder, most alike first; the distance is 1 - likeness."""
    rows = [
        (records[copy.one].image, records[copy.other].image, copy.reason, f"{1 - copy.likeness:.4f}")
        for copy in sorted(copies, key=lambda copy: -copy.likeness)
    ]
    write_table(folder / "leakage_pairs.csv", PAIRS, rows)


def _verified(
    pairs: Sequence[Copy],
    records: Sequence[Record],
    prints: Mapping[int, Array] | Sequence[Array],
    others: Sequence[Record],
    other_prints: Sequence[Array],
) -> list[Copy]:
    """The pairs, those as ``copy`` whose fingerprints and whose pixels agree."""
    likely = [pair for pair in pairs if pair.likeness >= COPY]
    ones = _thumbnails(records, [pair.one for pair in likely])
    theirs = ones if others is records else {}
    theirs |= _thumbnails(others, [pair.other for pair in likely if pair.other not in theirs])

    def judge(pair: Copy) -> Copy:
        looks = (prints[pair.one], other_prints[pair.other])
        is_copy = pair.likeness >= COPY and is_same_picture(ones[pair.one], theirs[pair.other], *looks)
        return replace(pair, reason="copy") if is_copy else pair

    return list(in_threads(judge, pairs))


def _thumbnails(records: Sequence[Record], indices: Sequence[int]) -> dict[int, Array]:
    wanted = sorted(set(indices))
    return dict(zip(wanted, in_threads(lambda index: thumbnail(read_image(records[index].path)), wanted), strict=True))


def _try_look(record: Record) -> tuple[str, Array] | None:
    try:
        return _look(record)
    except (DataError, OSError):
        return None


def _look(record: Record) -> tuple[str, Array]:
    try:
        look = fingerprint(record.path)
    except DataError as fault:
        raise located(fault, record) from None
    return hashlib.sha256(record.path.read_bytes()).hexdigest(), look
