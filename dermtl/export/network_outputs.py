"""Outputs of the network of a run or an ensemble, in torch, to compare an exported file with."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dermtl.arrays import Array
from dermtl.errors import InputError
from dermtl.export.graph import Graph
from dermtl.kinds import Kind
from dermtl.runs.folds import load_ensemble


def network_outputs(run: Path, kinds: Mapping[str, Kind]) -> Callable[[Array], Mapping[str, Array]]:
    """Load a run's network as a function: a picture, uint8 [H, W, 3], to output name to value in the source frame.

    Args:
        run: The run's folder, or that of the folds of a cross-validation, whose ensemble is loaded.
        kinds: The outputs of the exported file.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        InputError: The outputs of the run are not those of the exported file.
    """
    trained = load_ensemble(run)
    if dict(trained.kinds) != dict(kinds):
        given, expected = ", ".join(trained.kinds), ", ".join(kinds)
        raise InputError(
            f"its outputs {given} are not those of the model, {expected}",
            where=str(run),
            hint="give the model's own run",
        )
    size = trained.experiment.backbone.image_size
    return Graph(trained.network, trained.kinds, size, trained.decisions.temperatures).outputs_of
