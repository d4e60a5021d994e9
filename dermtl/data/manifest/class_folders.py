"""Class and split of pictures by the folders they lie in: ``<class>/x.jpg``, ``<split>/<class>/x.jpg``.

A folder ``images`` that every picture lies in is passed over.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.data.manifest.folders import IMAGE_FOLDERS, MASK_FOLDERS, Folder, first_names
from dermtl.data.manifest.split_names import SPLITS
from dermtl.errors import ManifestError


@dataclass(frozen=True)
class Placed:
    """A picture with what its folders say; empty where they say nothing."""

    picture: Path
    label: str
    split: str


def place_pictures(folder: Folder) -> list[Placed]:
    """Class and split of every picture of a folder, in the order of their paths.

    Raises:
        ManifestError: There are no pictures, or a class folder holds a folder.
    """
    where, hint = str(folder.path), "expected <class>/x.jpg or <split>/<class>/x.jpg"
    parts = [path.relative_to(folder.path).parts[:-1] for path in folder.pictures]
    for index in range(max(map(len, parts), default=0)):
        if all(len(part) > index and part[index].casefold() in IMAGE_FOLDERS for part in parts):
            parts = [(*part[:index], *part[index + 1 :]) for part in parts]
            break
    has_splits = bool(parts) and all(part and part[0].lower() in SPLITS for part in parts)
    placed = []
    for path, part in zip(folder.pictures, parts, strict=True):
        split, rest = (part[0].lower(), part[1:]) if has_splits else ("", part)
        if len(rest) > 1:
            hint = "list the pictures in a CSV, or flatten the folder"
            raise ManifestError(
                "a class folder holds a folder, whose pictures would be lost", where=str(path.parent), hint=hint
            )
        placed.append(Placed(path, rest[0] if rest else "", split))
    if not any(one.label for one in placed) and not folder.masks:
        raise ManifestError("holds no class folders with pictures", where=where, hint=hint)
    return placed


def doubts(folder: Folder, placed: Sequence[Placed]) -> list[str]:
    """Why the folders' names may not be classes; each in one line."""
    nums = Counter(one.label for one in placed)
    without, found = nums.pop("", 0), []
    odd = [name for name in nums if name.casefold() in IMAGE_FOLDERS | MASK_FOLDERS | set(SPLITS)]
    if odd:
        found.append(f"a class would be called {odd[0]!r}, which names a kind of file or a split")
    elif len(nums) == 1:
        found.append(f"there would be one class, {next(iter(nums))!r}, for all {sum(nums.values())} pictures")
    if without and nums:
        found.append(f"{without} pictures lie in no class folder, such as {_named(folder, placed, '')}")
    if folder.stray_masks:
        names = first_names(folder.stray_masks)
        found.append(f"{len(folder.stray_masks)} masks belong to no picture: {names}")
    return found


def _named(folder: Folder, placed: Sequence[Placed], label: str) -> str:
    first = next(one.picture for one in placed if one.label == label)
    return first.relative_to(folder.path).as_posix()
