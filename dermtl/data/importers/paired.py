"""A picture's masks as one cell of its row: the file, or several united."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.data.importers.importer import RenderedImage
from dermtl.data.manifest.folders import Folder
from dermtl.errors import AnnotationError
from dermtl.imaging.decode import read_mask
from dermtl.kinds.mask import foreground


def mask_of(picture: Path, folder: Folder) -> dict[str, Path | RenderedImage]:
    """``mask`` of a picture, or nothing where it has none; several masks are drawn as one."""
    masks = folder.masks.get(picture, ())
    if not masks:
        return {}
    if len(masks) == 1:
        return {"mask": masks[0]}
    name = picture.relative_to(folder.path).with_suffix("").as_posix()
    return {"mask": RenderedImage(f"masks/{name}", partial(unite, masks))}


def unite(masks: Sequence[Path]) -> Array:
    """uint8 [H, W] of 0 and 255: where any of the masks is.

    Raises:
        AnnotationError: They are of unlike sizes.
        ImageReadError: One cannot be read.
    """
    first, *others = (foreground(read_mask(path)) for path in masks)
    for path, other in zip(masks[1:], others, strict=True):
        if other.shape != first.shape:
            sizes = f"{other.shape[1]}x{other.shape[0]} pixels, {masks[0].name} {first.shape[1]}x{first.shape[0]}"
            raise AnnotationError(f"has {sizes}: masks of one picture are of one size", where=str(path))
        first = first | other
    return np.asarray(first * np.uint8(255))
