"""The experiment file that a first training begins with: commented, to be read and changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from dermtl.config.experiment import Backbone
from dermtl.data.importers.named import Columns
from dermtl.data.manifest.split_names import SPLITS
from dermtl.errors import ManifestError
from dermtl.imaging.decode import read_size
from dermtl.starter.heads import suggest_heads
from dermtl.statistics.spread import spread

_NUM_SIZES = 64  # pictures that are enough to know how large they are
_STEP_PX = 32  # backbones halve a picture five times
_SHOWN = 12  # classes that a comment lists


def write_experiment(
    manifest: Path,
    cells: Mapping[str, Sequence[str]],
    columns: Columns,
    *,
    name: str,
    backbone: str | None = None,
    weights: Path | None = None,
) -> str:
    """The text of an experiment on the preset ``recommended``.

    The heads are those that the table can train; columns that none learns stand in a comment. A column ``split`` that
    puts every picture into one of train, val and test is kept to. Pictures that are smaller than the usual size are
    trained at their own: the median of the longer sides of some of them, as a multiple of 32 pixels.

    Args:
        manifest: The table; its folder is ``data.root``.
        cells: Column to its cells, as of :func:`dermtl.starter.manifest.read_cells`.
        columns: Columns of the class, the mask and the group, where they have other names than the usual ones.
        name: The experiment's name.
        backbone: A name of timm's; None for the preset's.
        weights: A file of weights for the backbone; None for timm's own.

    Raises:
        ManifestError: No installed head can be trained on these columns.
        ImageReadError: A picture cannot be read.
    """
    aliases = {usual: column for usual, column in columns.renamed.items() if usual != column}
    suggested = suggest_heads({**cells, **{usual: cells[column] for usual, column in aliases.items()}})
    heads = {head: {key: _renamed(value, aliases) for key, value in keys.items()} for head, keys in suggested.items()}
    if not heads:
        hint = "name what is to be learned: --label COLUMN or --mask COLUMN; or write an experiment file"
        raise ManifestError(
            f"no installed head can be trained on its columns: {', '.join(cells)}", where=str(manifest), hint=hint
        )
    size = _image_size(manifest, cells["image"])
    lines = [
        "# Written from a folder or table of pictures. Change it and train again: dermtl train THIS_FILE --run FOLDER",
        "extends: recommended        # stages, rates, augmentation; docs/configuration.md lists the presets",
        f"name: {_text(name)}",
        "data:",
        f"  root: {_text(_from_here(manifest.parent))}",
        f"  manifest: {_text(manifest.name)}    # {len(cells['image'])} pictures",
    ]
    lines += [f"  group: {_text([columns.group])}    # pictures that stay together"] if columns.group else []
    if is_split := _tells_every_side(cells):
        lines.append(f"  split: {{column: split}}{_comment({'column': 'split'}, cells)}")
    if backbone or weights or size:
        lines.append("backbone:")
        lines += [f"  name: {_text(backbone)}    # any name that timm knows"] if backbone else []
        lines += [f"  pretrained: {_text(str(weights))}"] if weights else []
        lines += [f"  image_size: {size}    # pixels; most pictures are no larger"] if size else []
    lines.append("heads:")
    lines += [f"  {head}: {_text(keys)}{_comment(keys, cells)}" for head, keys in heads.items()]
    learned = {"image", columns.group, "split" if is_split else "", *_words(heads), *_words(suggested)}
    if unlearned := [column for column in cells if column not in learned]:
        lines.append(f"# No head learns the columns {', '.join(map(_text, unlearned))}.")
    return "\n".join(lines) + "\n"


def _tells_every_side(cells: Mapping[str, Sequence[str]]) -> bool:
    """Whether the column ``split`` has a side for every picture, and each side pictures."""
    told = cells.get("split", ())
    return len(told) == len(cells["image"]) and {SPLITS.get(cell.lower()) for cell in told} == set(SPLITS.values())


def _renamed(value: Any, aliases: Mapping[str, str]) -> Any:
    return aliases.get(value, value) if isinstance(value, str) else value


def _words(heads: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Every text among the keys of heads, columns among them."""
    values = [value for keys in heads.values() for value in keys.values()]
    return {word for value in values for word in ([value] if isinstance(value, str) else value)}


def _from_here(folder: Path) -> str:
    """A folder as seen from the working directory, or its whole path if it lies elsewhere."""
    path, here = folder.absolute(), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _image_size(manifest: Path, images: Sequence[str]) -> int | None:
    """Side in pixels, or None if the pictures fill the usual one."""
    longer = [max(read_size(manifest.parent / image)) for image in spread(images, _NUM_SIZES)]
    side = max(2 * _STEP_PX, _STEP_PX * round(median(longer) / _STEP_PX))
    return side if side < Backbone.model_fields["image_size"].default else None


def _comment(keys: Mapping[str, Any], cells: Mapping[str, Sequence[str]]) -> str:
    """What the column of a head holds, if it holds a few words."""
    column = keys.get("column")
    counts = Counter(cells.get(column, ())) if isinstance(column, str) else Counter()
    if not 1 < len(counts) <= _SHOWN:
        return ""
    return "    # " + ", ".join(f"{word} {num}" for word, num in sorted(counts.items()))


def _text(value: Any) -> str:
    """A value in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()
