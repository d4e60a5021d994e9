"""A run as one ONNX file with its golden samples."""

from pathlib import Path

from dermtl.evaluation.model_card.fields import read_card_fields
from dermtl.export.graph import Graph
from dermtl.export.onnx_file import to_onnx
from dermtl.runs.folder import TrainedRun
from dermtl.runs.folds import fold_runs, load_ensemble
from dermtl.runtime.bundle import Bundle
from dermtl.runtime.bundle.model_file import write_model
from dermtl.runtime.golden import golden_path, make_samples, write_golden

_PROVENANCE = ("versions", "data", "backbone", "seed", "epochs", "folds")


def export_run(run: Path, out: Path) -> Path:
    """Export a run's best weights, or the folds of a cross-validation as one ensemble.

    Args:
        run: The run's folder, or that of the folds.
        out: The ``model.onnx`` to write; golden samples go to ``model.golden.zip`` beside it, its digest to
            ``model.onnx.sha256``.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        ExportError: torch cannot export the network.
    """
    trained = load_ensemble(run)
    size = trained.experiment.backbone.image_size
    graph = Graph(trained.network, trained.kinds, size, trained.decisions.temperatures)
    data = to_onnx(graph, describe(trained, run), size=size)
    samples = make_samples(size)
    outputs = [graph.outputs_of(sample.pixels) for sample in samples]
    write_model(out, data)
    write_golden(golden_path(out), samples, outputs)
    return out


def describe(trained: TrainedRun, run: Path) -> Bundle:
    """The metadata of a run's model; no path of this machine, no name of a picture.

    Args:
        trained: The network and what is known of it; of an ensemble, that of its first member.
        run: The folder that is exported; ``card.yaml`` is looked for there.
    """
    facts = trained.folder.facts
    members = [member.name for member in fold_runs(run)]
    if members:  # epochs, weights and sides of the data are a member's own
        shared = {"data": {"digest": facts.get("data", {}).get("digest", "")}, "folds": len(members)}
        facts = {key: facts[key] for key in ("versions", "backbone", "seed") if key in facts} | shared
    experiment = trained.experiment
    return Bundle(
        name=experiment.name,
        size=experiment.backbone.image_size,
        mean=tuple(trained.network.backbone.mean),
        std=tuple(trained.network.backbone.std),
        outputs=trained.kinds,
        heads={name: plan.metadata() for name, plan in trained.plans.items()},
        data={"image": experiment.data.image, "group": experiment.data.group},
        provenance={key: facts[key] for key in _PROVENANCE if key in facts},
        decisions=trained.decisions,
        card=read_card_fields(None, run).filled,
    )
