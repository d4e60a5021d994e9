"""What a run records: the experiment as it ran, versions, plugins, the digest of its data, and how it ended."""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import yaml

from dermtl.config.experiment import Experiment
from dermtl.errors import DermtlError, Interrupted
from dermtl.files.atomic import write_atomic
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder
from dermtl.training.prepare import Prepared

_PACKAGES = ("dermtl", "torch", "timm", "albumentations", "lightning-fabric", "numpy", "pillow", "onnx", "onnxruntime")


def as_run(experiment: Experiment, plans: Mapping[str, HeadPlan]) -> dict[str, Any]:
    """The experiment as plain data, with every default written out and every head as fitted."""
    data = experiment.model_dump(mode="json")
    data["data"]["root"] = str(experiment.data.root.resolve())
    if isinstance(experiment.backbone.pretrained, Path):
        data["backbone"]["pretrained"] = str(experiment.backbone.pretrained.resolve())
    data["heads"] = {name: plan.dump() for name, plan in plans.items()}
    return data


def to_yaml(data: Mapping[str, Any]) -> str:
    """Plain data as YAML in the order given."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True)


def write_documents(folder: Path, plans: Mapping[str, HeadPlan]) -> None:
    """Write the documents of the heads, such as ``partition.json``; each file maps a head to its document."""
    files: dict[str, dict[str, Any]] = {}
    for name, plan in plans.items():
        for file, document in plan.config.documents().items():
            files.setdefault(file, {})[name] = document
    for file, documents in files.items():
        write_atomic(folder / file, json.dumps(documents, indent=2, allow_nan=False) + "\n")


def first_facts(prepared: Prepared, licence: str, num_processes: int) -> dict[str, Any]:
    """Content of run.json when a run begins.

    Args:
        prepared: Experiment with its data and heads.
        licence: Licence of the backbone's weights.
        num_processes: Number of processes that train.
    """
    experiment, plans = prepared.experiment, prepared.plans
    return {
        "name": experiment.name,
        "state": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": experiment.training.seed,
        "versions": {package: version_of(package) for package in _PACKAGES} | {"python": platform.python_version()},
        "plugins": {name: dict(plan.origin) for name, plan in plans.items()},
        "data": {
            "digest": data_digest(prepared.records),
            **{side: len(prepared.side(side)) for side in ("train", "val", "test")},
        },
        "backbone": {"name": experiment.backbone.name, "weights_licence": licence},
        "leakage": prepared.leakage_facts,
        "processes": num_processes,
    }


@contextmanager
def record_outcome(folder: RunFolder, facts: Mapping[str, Any], *, writes: bool) -> Iterator[dict[str, Any]]:
    """Write to run.json how a training ended: finished, interrupted or failed.

    Args:
        folder: Folder of the run.
        facts: Content of run.json so far.
        writes: Whether this process writes.

    Yields:
        Facts to add if the training finishes.
    """
    results: dict[str, Any] = {}

    def write(state: str, more: Mapping[str, Any]) -> None:
        if writes:
            folder.note({**facts, "state": state, **more})

    try:
        yield results
    except Interrupted:
        write("interrupted", {})
        raise
    except DermtlError:
        write("failed", {})
        raise
    write("finished", results)


def version_of(package: str) -> str:
    """Version of an installed distribution, or ``absent``.

    If other distributions provide its module, as onnxruntime-gpu provides ``onnxruntime``, their names and versions.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        others = set(packages_distributions().get(package.replace("-", "_"), [])) - {package}
        return ", ".join(f"{other} {version(other)}" for other in sorted(others)) or "absent"


def data_digest(records: Sequence[Record]) -> str:
    """SHA-256 of every record's path, cells and file size, in the order of paths."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: record.image):
        facts = [record.image, record.path.stat().st_size, sorted(record.cells.items())]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()
