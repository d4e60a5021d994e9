"""From a folder or table to the text of an experiment."""

import re
import unicodedata
from pathlib import Path

from dermtl.data.importers.named import Columns
from dermtl.starter.experiment import write_experiment
from dermtl.starter.manifest import find_manifest, read_cells


def start_experiment(source: Path, named: Columns, *, backbone: str | None = None, weights: Path | None = None) -> str:
    """Import a source if it needs it, and write the experiment that trains what its table holds.

    Args:
        source: A folder of pictures, or a table.
        named: Columns of the source that the user named; empty for the others.
        backbone: A name of timm's; None for the preset's.
        weights: A safetensors file of the backbone; None for timm's own weights.

    Returns:
        The text of the experiment file.

    Raises:
        DataError: The source cannot be imported, or no head can be trained on its table.
    """
    manifest, columns = find_manifest(source, named)
    return write_experiment(
        manifest, read_cells(manifest), columns, name=experiment_name(source), backbone=backbone, weights=weights
    )


def experiment_name(source: Path) -> str:
    """The name of the folder or table as an experiment's name: small letters, digits and underscores."""
    path = source.resolve()
    plain = unicodedata.normalize("NFKD", path.stem if path.is_file() else path.name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    return name if re.match("[a-z]", name) else f"set_{name}".strip("_")
