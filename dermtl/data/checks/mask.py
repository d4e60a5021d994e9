"""Looking at one mask beside its picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermtl.data.checks.finding import Finding, found
from dermtl.errors import ImageFault, ImageReadError, MissingExtra
from dermtl.imaging.decode import read_header, read_mask
from dermtl.imaging.header import Header
from dermtl.kinds import Mask, PartialMask

_HALF = 127  # a mask of one class holds it above this level


@dataclass(frozen=True)
class InspectedMask:
    """What was seen.

    Attributes:
        where: The row.
        column: The mask's column.
        name: The mask's path.
        levels: The values that occur; empty where the mask cannot be read.
        findings: What is wrong, values apart.
    """

    where: str
    column: str
    name: str
    levels: tuple[int, ...]
    findings: tuple[Finding, ...]


def inspect_mask(
    path: Path, name: str, image: Header | None, where: str, column: str, *, is_numbered: bool = False
) -> InspectedMask:
    """Read a mask once and judge it; its values are judged when all masks are known."""
    try:
        header = read_header(path)
        values = read_mask(path, is_numbered=is_numbered)
    except (ImageReadError, MissingExtra) as error:
        is_coloured = isinstance(error, ImageReadError) and error.reason is ImageFault.COLOURED
        code = "mask-coloured" if is_coloured else "mask-unreadable"
        return InspectedMask(
            where, column, name, (), (found(code, where, f"mask {name} {error.message}", column=column),)
        )
    levels = tuple(int(level) for level in np.flatnonzero(np.bincount(values.ravel(), minlength=256)))
    findings = [] if image is None else list(_fit(name, header, image, where, column))
    if levels == (0,):
        findings.append(found("mask-empty", where, f"mask {name} is empty", column=column))
    elif 0 not in levels and len(levels) == 1:
        findings.append(found("mask-full", where, f"mask {name} covers the whole picture", column=column))
    return InspectedMask(where, column, name, levels, tuple(findings))


def _fit(name: str, mask: Header, image: Header, where: str, column: str) -> Iterator[Finding]:
    expected, got = image.size_hw, mask.size_hw
    if got != expected:
        if image.is_transposed and got == image.stored_hw:
            message = f"the picture is turned by EXIF orientation {image.orientation}, mask {name} is not"
            yield found("mask-orientation", where, message, column=column)
        else:
            sizes = f"{got[1]}x{got[0]} pixels, its image {expected[1]}x{expected[0]}"
            yield found("mask-size", where, f"mask {name} has {sizes}", column=column)
    elif image.orientation != mask.orientation and image.stored_hw == mask.stored_hw:
        message = f"the picture has EXIF orientation {image.orientation}, mask {name} has {mask.orientation}"
        yield found("mask-turned", where, message, column=column)


def check_levels(masks: list[InspectedMask], kind: Mask) -> Iterator[Finding]:
    """Values that a mask may not hold.

    A kind without classes stands for an unknown number of them: one, unless most masks hold small numbers.
    """
    seen = [mask for mask in masks if mask.levels]
    num_classes = len(kind.classes) or _guess(seen)
    for mask in seen:
        levels = [level for level in mask.levels if not isinstance(kind, PartialMask) or level != kind.ignore] or [0]
        top = levels[-1]
        where, column = mask.where, kind.column
        if num_classes > 1:
            if top > num_classes:
                message = f"mask {mask.name} holds the value {top}, but there are {num_classes} classes"
                yield found("mask-values", where, message, column=column)
        elif 1 < top <= (255 if isinstance(kind, PartialMask) else _HALF):
            message = f"mask {mask.name} holds values up to {top}"
            yield found("mask-values", where, message, column=column)
        elif top == 255 and set(levels) - {0} == {1, 255}:
            message = f"mask {mask.name} holds 1 and 255, and 255 beside 1 is how VOC marks what is to be ignored"
            yield found("mask-values", where, message, column=column)
        elif stray := [level for level in levels if top > 1 and level not in (0, 255)]:
            message = f"mask {mask.name} holds {len(stray)} levels besides 0 and 255, such as {stray[0]}"
            yield found("mask-stray", where, message, column=column)


def _guess(masks: list[InspectedMask]) -> int:
    tops = sorted(mask.levels[-1] for mask in masks)
    middle = tops[len(tops) // 2] if tops else 1
    return max(top for top in tops if top <= _HALF) if 1 < middle <= _HALF else 1
