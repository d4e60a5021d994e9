"""A head with the things that checks need: drawn pictures, a fitted config, small networks, a short run and its export.

Everything expensive is computed once.
"""

import csv
import gc
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dermtl.arrays import Array
from dermtl.config.experiment import Backbone, Data
from dermtl.data.manifest.read import read_manifest
from dermtl.data.synthetic.dataset import synthesise
from dermtl.errors import PluginContract
from dermtl.export.export import export_run
from dermtl.files.atomic import write_atomic
from dermtl.files.table import write_table
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Record
from dermtl.model.head import Head
from dermtl.model.network import Network, build_network
from dermtl.model.predictor import restore_batch
from dermtl.plugins.contract import HeadConfig, Prediction
from dermtl.plugins.discovery import load_head, resolve
from dermtl.plugins.installed import origin_of
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import TrainedRun, load_run
from dermtl.runtime.predictor import Model, load
from dermtl.training.train import train

NAME = "head"  # the head's name in every experiment here
SIZE = 64
NUM_RECORDS = 24
_TRUTH = ("label", "mask", "cx", "cy", "r", "diameter_mm", "age", "sex")
_BLANK = (4, 11, 17)  # records whose annotations are removed: a record may lack any of them
BACKBONES: Mapping[str, Mapping[str, Any]] = {
    "test_resnet": {},
    "vgg11": {"mlp_ratio": 1 / 64},  # 100 million weights fewer
    "test_vit": {},
}


@dataclass(frozen=True)
class Example:
    """One record with its picture and annotation.

    Attributes:
        record: The record of the manifest.
        image: uint8 [H, W, 3].
        annotation: The head's annotation in the source frame; None if it has none.
    """

    record: Record
    image: Array
    annotation: Array | None


class HeadUnderTest:
    """A head under test.

    Args:
        head: ``name`` or ``distribution:name`` of an installed head.
        keys: Keys of its config beside those of its example.

    Raises:
        PluginError: The head is not installed, or cannot be imported.
    """

    def __init__(self, head: str, keys: Mapping[str, Any] | None = None) -> None:
        self._keys = dict(keys or {})
        self._folder = TemporaryDirectory(prefix="dermtl-check-")
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so small, they are slower on many, and sums keep their order
        self.spec, self.point = load_head(head)
        self.type = f"{origin_of(self.point)['distribution']}:{self.spec.name}"

    @property
    def folder(self) -> Path:
        """A folder for this head alone."""
        return Path(self._folder.name)

    def close(self) -> None:
        """Delete everything."""
        torch.set_num_threads(self._threads)
        self._folder.cleanup()

    @cached_property
    def config_type(self) -> type[HeadConfig]:
        """The head's config class."""
        found = resolve(self.spec.config, self.spec.name)
        if not (isinstance(found, type) and issubclass(found, HeadConfig)):
            raise PluginContract(f"{self.spec.config} is not a HeadConfig", where=self.spec.name)
        return found

    @cached_property
    def example(self) -> HeadConfig:
        """Example config of the head, not yet fitted."""
        first = self.config_type.example()
        return self.config_type.model_validate(first.model_dump() | self._keys)

    @cached_property
    def config(self) -> HeadConfig:
        """The example config, fitted to the drawn records."""
        return self.example.fitted(self.records)

    @cached_property
    def plan(self) -> HeadPlan:
        """The plan of the fitted head."""
        return HeadPlan(NAME, self.spec, self.config, 1.0, origin_of(self.point))

    @cached_property
    def manifest(self) -> Path:
        """The table of the drawn records; some rows have no annotation."""
        drawn = synthesise(self.folder / "drawn", num=NUM_RECORDS)
        with drawn.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for index in _BLANK:
            rows[index] |= dict.fromkeys(_TRUTH, "")
        write_table(drawn, list(rows[0]), [list(row.values()) for row in rows])
        return drawn

    @cached_property
    def records(self) -> list[Record]:
        """The drawn records."""
        return read_manifest(Data(root=self.manifest.parent))

    @cached_property
    def examples(self) -> list[Example]:
        """All records with their pictures and annotations."""
        kind = self.config.target()
        return [Example(record, read_image(record.path), kind.read(record)) for record in self.records]

    @cached_property
    def known(self) -> list[tuple[Example, Array]]:
        """The records that have an annotation, with it."""
        found = [(example, example.annotation) for example in self.examples if example.annotation is not None]
        if len(found) < 8:
            raise AssertionError(
                f"the example config finds a truth in {len(found)} of {len(self.records)} drawn records, 8 are needed; "
                f"let HeadConfig.example() read the columns {', '.join(_TRUTH)}"
            )
        return found

    @cached_property
    def images(self) -> Tensor:
        """The pictures of the known records in the network frame, uint8 [n, 3, S, S]."""
        boxed = [Letterbox.of(example.image, SIZE).apply(example.image) for example, _ in self.known]
        return torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2)

    @cached_property
    def targets(self) -> Tensor:
        """The targets of the known records, [n, ...]."""
        kind, found = self.config.target(), []
        for example, annotation in self.known:
            target = kind.encode(annotation, Letterbox.of(example.image, SIZE).view)
            if target is None:
                raise AssertionError(f"{type(kind).__name__}.encode loses a truth under the plain letterbox")
            found.append(target)
        return torch.from_numpy(np.stack(found))

    def network(self, backbone: str = "test_resnet", *, seed: int = 0) -> Network:
        """A new network in training mode, its weights a function of the seed."""
        torch.manual_seed(seed)
        random.seed(seed)
        config = Backbone(name=backbone, pretrained=False, image_size=SIZE, options=dict(BACKBONES[backbone]))
        return build_network(config, {NAME: self.plan}, pretrained=False).train()

    @cached_property
    def networks(self) -> dict[str, Network]:
        """One network a backbone, for checks that leave the weights as they are."""
        return {backbone: self.network(backbone) for backbone in BACKBONES}

    def measure(self, outputs: Mapping[str, Tensor], num: int) -> dict[str, float]:
        """The metrics of a network's outputs for the first known records."""
        sizes = [(example.image.shape[0], example.image.shape[1]) for example, _ in self.known[:num]]
        restored = restore_batch(outputs, self.plan.outputs, sizes, SIZE)
        bare = [{name.partition(".")[2]: value for name, value in row.items()} for row in restored]
        return self.summarise(bare, [annotation for _, annotation in self.known[:num]])

    def tabulate(self, predictions: Sequence[Prediction], annotations: Sequence[Array]) -> dict[str, Array]:
        """The rows of the head's metrics for predictions in the source frame: column to values, stacked to [n, ...]."""
        metrics = self.plan.metrics()
        pairs = zip(predictions, annotations, strict=True)
        rows = [metrics.measure(prediction, annotation) for prediction, annotation in pairs]
        return {column: np.stack([np.asarray(row[column]) for row in rows]) for column in rows[0]}

    def summarise(self, predictions: Sequence[Prediction], annotations: Sequence[Array]) -> dict[str, float]:
        """The metrics of predictions in the source frame."""
        return dict(self.plan.metrics().summarise(self.tabulate(predictions, annotations)))

    def train(self, name: str, *, resume: bool = False, **training: Any) -> Path:
        """Train for two short epochs and give the run's folder."""
        keys = self.example.model_dump(mode="json")
        settings = {"batch_size": 4, "workers": 0, "accelerator": "cpu", "augmentation": "light", "cache": "off"}
        document = {
            "name": "check",
            "data": {"root": str(self.manifest.parent)},
            "backbone": {"name": "test_resnet", "pretrained": False, "image_size": SIZE},
            "heads": {NAME: {"type": self.type, **keys}},
            "training": settings | {"stages": [{"epochs": 2, "lr": 1e-3}], "early_stopping": None} | training,
        }
        path = self.folder / f"{name}.yaml"
        write_atomic(path, json.dumps(document))
        if not resume:
            shutil.rmtree(self.folder / name, ignore_errors=True)  # what a check that failed has left
        try:
            train(path, run=self.folder / name, resume=resume)
        finally:
            gc.collect()  # ends the workers now, not when Python ends
        return self.folder / name

    @cached_property
    def run(self) -> Path:
        """A short run."""
        return self.train("run")

    @cached_property
    def trained(self) -> TrainedRun:
        """The short run, loaded."""
        return load_run(self.run)

    @cached_property
    def model(self) -> Path:
        """The short run's ``model.onnx``."""
        return export_run(self.run, self.folder / "model.onnx")

    @cached_property
    def exported(self) -> Model:
        """The exported model, opened."""
        return load(self.model, threads=1)


def head_of(network: Network) -> Head:
    """The network's only head."""
    head = network.heads[NAME]
    assert isinstance(head, Head)
    return head
