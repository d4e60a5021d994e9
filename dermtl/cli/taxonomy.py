"""``dermtl taxonomy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.taxonomy.tree import Taxonomy

_TREE = click.argument("tree", type=click.Path(path_type=Path))
_COLUMN = click.option("--column", default="label", show_default=True, help="Column of the table with the diagnosis.")


@click.group()
def taxonomy() -> None:
    """Show trees of diseases and cut them into classes."""


@taxonomy.command()
@_TREE
@click.option("--manifest", type=click.Path(path_type=Path), help="Table whose rows are counted.")
@_COLUMN
def show(tree: Path, manifest: Path | None, column: str) -> None:
    """Print a tree with the labels of its nodes, and how many rows of a table each subtree has.

    TREE is nested YAML, or a CSV with the columns path and labels.

    \b
    Example:
      dermtl taxonomy show configs/taxonomies/isic.yaml --manifest labels.csv
    """
    from dermtl.cli.table import show_table
    from dermtl.taxonomy.names import last_part
    from dermtl.taxonomy.read import read_taxonomy

    found = read_taxonomy(tree)
    counts = None if manifest is None else _counts(found, manifest, column)
    rows = []
    for node, path in enumerate(found.nodes):
        total = "" if counts is None else str(sum(counts[member] for member in found.subtree(node)))
        name = "  " * found.depths[node] + last_part(path)
        rows.append((name, str(found.depths[node]), ", ".join(found.labels[node]), total))
    width = 3 if counts is None else 4
    show_table(("node", "level", "labels", "records")[:width], [row[:width] for row in rows])


@taxonomy.command()
@_TREE
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Table of the training records.")
@_COLUMN
@click.option(
    "--max-class-size",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Classes of several nodes have fewer records.",
)
@click.option(
    "--min-class-size", type=click.IntRange(min=0), default=0, show_default=True, help="Smaller siblings share a class."
)
@click.option("--level", type=click.IntRange(min=0), default=1, show_default=True, help="Deepest that is evaluated.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the partition as JSON.")
def partition(
    tree: Path, manifest: Path, column: str, max_class_size: int, min_class_size: int, level: int, out: Path | None
) -> None:
    """Cut a tree into training classes, none of which has as many records as the cap unless it is a single node.

    Training does this itself, from the training records alone; here it is tried out.

    \b
    Example:
      dermtl taxonomy partition configs/taxonomies/isic.yaml --manifest labels.csv --max-class-size 300 --level 2
    """
    import json

    from dermtl.cli.table import show_table
    from dermtl.errors import ConfigError
    from dermtl.files.atomic import write_atomic
    from dermtl.taxonomy.partition import disease_partition
    from dermtl.taxonomy.read import read_taxonomy

    found = read_taxonomy(tree)
    counts = _counts(found, manifest, column)
    try:
        cut = disease_partition(
            found, counts, max_class_size=max_class_size, min_class_size=min_class_size, level=level
        )
    except ValueError as error:
        raise ConfigError(str(error), where=str(tree)) from error
    show_table(
        ("class", "records", "nodes"), [(part.name, str(part.num_images), str(len(part.nodes))) for part in cut.classes]
    )
    click.echo(f"\n{len(cut.classes)} classes of {sum(counts)} records")
    if out is not None:
        write_atomic(out, json.dumps(cut.to_json(), indent=2) + "\n")


def _counts(tree: Taxonomy, manifest: Path, column: str) -> list[int]:
    """Rows of a table that each node itself has."""
    from dermtl.errors import ManifestError
    from dermtl.files.table import read_table
    from dermtl.taxonomy.look_up import find_node

    counts = [0] * len(tree.nodes)
    for where, cells in read_table(manifest):
        if column not in cells:
            raise ManifestError(
                f"no column {column!r}", where=str(manifest), hint=f"the columns are {', '.join(cells)}; give --column"
            )
        if text := cells[column].strip():
            counts[find_node(tree, text, column=column, where=where)] += 1
    return counts
