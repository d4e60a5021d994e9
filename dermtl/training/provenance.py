"""What a run notes of itself: the experiment as it ran, versions, plugins, the digest of its data."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import yaml

from dermtl.config.experiment import Experiment
from dermtl.files.atomic import write_atomic
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan

_PACKAGES = ("dermtl", "torch", "timm", "albumentations", "lightning-fabric", "numpy", "pillow", "onnx", "onnxruntime")


def as_run(experiment: Experiment, plans: Mapping[str, HeadPlan]) -> dict[str, Any]:
    """The experiment with every default written out and every head as fitted."""
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
    """Write what the heads keep for people to read; a file holds head to document."""
    files: dict[str, dict[str, Any]] = {}
    for name, plan in plans.items():
        for file, document in plan.config.documents().items():
            files.setdefault(file, {})[name] = document
    for file, documents in files.items():
        write_atomic(folder / file, json.dumps(documents, indent=2, allow_nan=False) + "\n")


def first_facts(
    experiment: Experiment, plans: Mapping[str, HeadPlan], records: Sequence[Record], licence: str
) -> dict[str, Any]:
    """What is known when a run begins."""
    return {
        "name": experiment.name,
        "state": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": experiment.training.seed,
        "versions": {package: version_of(package) for package in _PACKAGES} | {"python": platform.python_version()},
        "plugins": {name: dict(plan.origin) for name, plan in plans.items()},
        "data": {
            "digest": data_digest(records),
            **{side: sum(record.split == side for record in records) for side in ("train", "val", "test")},
        },
        "backbone": {"name": experiment.backbone.name, "weights_licence": licence},
    }


def version_of(package: str) -> str:
    """Version of an installed distribution, with the name of the one that is there in its place; else ``absent``.

    onnxruntime-gpu and its kin bring the module ``onnxruntime``.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        others = set(packages_distributions().get(package.replace("-", "_"), [])) - {package}
        return ", ".join(f"{other} {version(other)}" for other in sorted(others)) or "absent"


def data_digest(records: Sequence[Record]) -> str:
    """SHA-256 over every record's path, cells and size of file, in order of path."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: record.image):
        facts = [record.image, record.path.stat().st_size, sorted(record.cells.items())]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()
