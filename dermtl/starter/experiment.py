"""The experiment file that a first training begins with: commented, to be read and changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from dermtl.errors import ManifestError
from dermtl.imaging.decode import read_size
from dermtl.starter.heads import suggest_heads
from dermtl.statistics.spread import spread

_NUM_SIZES = 64  # pictures that are enough to know how large they are
_STEP_PX = 32  # backbones halve a picture five times
_SHOWN = 12  # classes that a comment lists


def write_experiment(
    manifest: Path,
    columns: Mapping[str, Sequence[str]],
    *,
    name: str,
    backbone: str | None = None,
    weights: Path | None = None,
) -> str:
    """The text of an experiment on the preset ``recommended``.

    The heads are those that the table can train. Pictures that are smaller than the preset's size are trained at their
    own: the median of the longer sides of some of them, as a multiple of 32 pixels.

    Args:
        manifest: The table; its folder is ``data.root``.
        columns: Column to its cells, as of :func:`dermtl.starter.manifest.read_columns`.
        name: The experiment's name.
        backbone: A name of timm's; None for the preset's.
        weights: A safetensors file of the backbone; None for timm's own weights.

    Raises:
        ManifestError: No installed head can be trained on these columns.
        ImageReadError: A picture cannot be read.
    """
    heads = suggest_heads(columns)
    if not heads:
        hint = "name what is to be learned: --label COLUMN or --mask COLUMN; or write an experiment file"
        raise ManifestError(
            f"no installed head can be trained on its columns: {', '.join(columns)}", where=str(manifest), hint=hint
        )
    size = _image_size(manifest, columns["image"])
    lines = [
        "# Written from a folder or table of pictures. Change it and train again: dermtl train THIS_FILE --run FOLDER",
        "extends: recommended        # stages, rates, augmentation; docs/configuration.md lists the presets",
        f"name: {_text(name)}",
        "data:",
        f"  root: {_text(_from_here(manifest.parent))}",
        f"  manifest: {_text(manifest.name)}    # {len(columns['image'])} pictures",
    ]
    if backbone or weights or size:
        lines.append("backbone:")
        lines += [f"  name: {_text(backbone)}    # any name that timm knows"] if backbone else []
        lines += [f"  pretrained: {_text(str(weights))}"] if weights else []
        lines += [f"  image_size: {size}    # pixels; most pictures are no larger"] if size else []
    lines.append("heads:")
    for head, keys in heads.items():
        lines.append(f"  {head}: {_text(keys)}{_comment(keys, columns)}")
    return "\n".join(lines) + "\n"


def _from_here(folder: Path) -> str:
    """A folder as seen from the working directory, or its whole path if it lies elsewhere."""
    path, here = folder.absolute(), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _image_size(manifest: Path, images: Sequence[str]) -> int | None:
    """Side in pixels, or None if the pictures fill the preset's."""
    longer = [max(read_size(manifest.parent / image)) for image in spread(images, _NUM_SIZES)]
    side = max(2 * _STEP_PX, _STEP_PX * round(median(longer) / _STEP_PX))
    return side if side < 224 else None


def _comment(keys: Mapping[str, Any], columns: Mapping[str, Sequence[str]]) -> str:
    """What the column of a head holds, if it holds a few words."""
    column = keys.get("column")
    counts = Counter(columns.get(column, ())) if isinstance(column, str) else Counter()
    if not 1 < len(counts) <= _SHOWN:
        return ""
    return "    # " + ", ".join(f"{word} {num}" for word, num in sorted(counts.items()))


def _text(value: Any) -> str:
    """A value in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()
