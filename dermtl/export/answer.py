"""The network of a run or an ensemble as a function from a decoded picture to its answer, beside the exported file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dermtl.arrays import Array
from dermtl.errors import InputError
from dermtl.export.graph import Graph
from dermtl.kinds import Kind
from dermtl.runs.folds import load_ensemble


def run_answer(run: Path, kinds: Mapping[str, Kind]) -> Callable[[Array], Mapping[str, Array]]:
    """What a run's network says of a picture, uint8 [H, W, 3]: output name to value, source frame.

    Args:
        run: The run's folder, or that of the folds of a cross-validation, whose ensemble answers.
        kinds: The exported file's outputs.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        InputError: Its outputs are not those of the file.
    """
    trained = load_ensemble(run)
    if dict(trained.kinds) != dict(kinds):
        given, wanted = ", ".join(trained.kinds), ", ".join(kinds)
        raise InputError(
            f"its outputs {given} are not those of the model, {wanted}", where=str(run), hint="give the model's own run"
        )
    size = trained.experiment.backbone.image_size
    return Graph(trained.network, trained.kinds, size, trained.decisions.temperatures).answer
