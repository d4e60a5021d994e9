"""Checks of the exported file: its outputs are the network's for any batch and picture, without torch and plugin."""

import json
import subprocess
import sys

import numpy as np
import torch

from dermtl.imaging.letterbox import Letterbox
from dermtl.runtime.bundle import fits
from dermtl.runtime.golden import golden_path, read_golden, replay
from dermtl.testing.assertions import check, same
from dermtl.testing.head_under_test import SIZE, HeadUnderTest

_LIMIT = 1e-4  # share of an output's largest value
_PREDICT = """
import json, sys
for name in ["torch", "timm", "albumentations", *{plugin!r}]: sys.modules[name] = None
import dermtl
model = dermtl.load({model!r}, threads=1)
print(json.dumps([model.predict(path).to_json() for path in {paths!r}]))
"""


class DeploymentChecks:
    """Checks of ``model.onnx``."""

    subject: HeadUnderTest

    def test_graph_answers_like_the_network(self) -> None:
        """For 1, 2 and 5 pictures of the network's size, ONNX Runtime and torch agree."""
        network = self.subject.trained.network
        model = self.subject.exported
        names = list(model.kinds)
        for num in (1, 2, 5):
            images = self.subject.images[:num]
            with torch.no_grad():
                expected = network.activate(network(images))
            got = model.session.run(names, {"image": images.permute(0, 2, 3, 1).numpy()})
            for name, value in zip(names, got, strict=True):
                limit = _LIMIT * max(1.0, float(expected[name].abs().max()))
                fine = same(value, expected[name].numpy(), limit=limit)
                check(fine, f"{name}: the graph and the network disagree on {num} pictures")

    def test_graph_takes_raw_pictures(self) -> None:
        """Raw pictures (wide, tall, small) and pictures letterboxed by the host give the outputs of the network."""
        for difference in replay(self.subject.exported, read_golden(golden_path(self.subject.model))):
            told = f"{difference.output} is {difference.worst:.2g} off at worst, {difference.mean:.2g} on average"
            check(difference.ok, f"way {difference.path}: {told}, allowed are {difference.limit:.2g}")

    def test_file_says_what_it_gives(self) -> None:
        """The file's outputs are those of the config, in order, of their kinds' shapes."""
        declared, kinds = self.subject.trained.kinds, self.subject.exported.kinds
        check(list(kinds) == list(declared), f"the file gives {list(kinds)}, the config says {list(declared)}")
        example, _ = self.subject.known[0]
        batch = np.stack([example.image, example.image[::-1]])
        for name, value in zip(kinds, self.subject.exported.session.run(list(kinds), {"image": batch}), strict=True):
            check(value.shape[0] == 2 and fits(kinds[name], value.shape[1:]), f"{name}: has {list(value.shape)}")
            check(np.isfinite(value).all(), f"{name}: is not finite")

    def test_predicts_without_torch_and_plugin(self) -> None:
        """If neither torch nor the plugin can be imported, the file gives the same predictions."""
        paths = [str(example.record.path) for example, _ in self.subject.known[:2]]
        plugin = sorted({part.partition(".")[0] for part in (self.subject.point.value, self.subject.spec.head)})
        text = _PREDICT.format(plugin=plugin, model=str(self.subject.model), paths=paths)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=120)
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        check(done.returncode == 0, f"the file cannot be used without torch and the plugin: {last}")
        here = json.loads(json.dumps([self.subject.exported.predict(path).to_json() for path in paths]))
        check(json.loads(done.stdout.splitlines()[-1]) == here, "the file predicts otherwise without the plugin")

    def test_decoding_agrees_with_the_head(self) -> None:
        """Predictions of the file are the network's outputs, restored by the kinds of the head."""
        network, kinds = self.subject.trained.network, self.subject.trained.kinds
        for row, (example, _) in enumerate(self.subject.known[:4]):
            box = Letterbox.of(example.image, SIZE)
            with torch.no_grad():
                outputs = network.activate(network(self.subject.images[row : row + 1]))
            prediction = self.subject.exported.predict(example.image)
            for name, kind in kinds.items():
                own = np.asarray(kind.restore(outputs[name][0].numpy(), box), np.float32)
                limit = _LIMIT * max(1.0, float(np.abs(own).max()))
                check(same(prediction.values[name], own, limit=limit), f"{name}: the file restores it otherwise")
