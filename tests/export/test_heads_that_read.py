"""A head that sees another's outputs, from a training to the file: torch, ONNX Runtime and NumPy's moments agree."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import dermtl
from dermtl.data.synthetic.dataset import synthesise
from dermtl.export.export import export_run
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.model.ensemble import Ensemble
from dermtl.plugins.plan import replan_heads
from dermtl.runs.folder import RunFolder, load_run
from dermtl.runtime.bundle import read_bundle
from dermtl.training.train import train

pytestmark = pytest.mark.slow
SIZE = 64
CONFIG = """\
name: reading
data: {root: drawn}
backbone: {name: test_resnet, pretrained: false, image_size: 64}
heads:
  extent: {type: circle, from: outline}
  outline: {type: segmentation, classes: [lesion], channels: [16, 16, 8]}
training:
  stages: [{epochs: 12, lr: 1e-2, warmup_epochs: 0}]
  batch_size: 4
  workers: 0
  accelerator: cpu
  augmentation: light
  early_stopping: null
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    synthesise(folder / "drawn", num=32)
    (folder / "reading.yaml").write_text(CONFIG.replace("drawn", str(folder / "drawn")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(folder / "reading.yaml", run=folder / "run")
    torch.set_num_threads(threads)
    return folder / "run"


@pytest.fixture(scope="module")
def model(trained: Path) -> Path:
    return export_run(trained, trained.parent / "model.onnx")


def _pictures(run: Path) -> list[np.ndarray]:
    return [read_image(path) for path in sorted((run.parent / "drawn" / "images").iterdir())[:4]]


def _boxed(pictures: list[np.ndarray]) -> torch.Tensor:
    boxed = [Letterbox.of(picture, SIZE).apply(picture) for picture in pictures]
    return torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2)


def test_the_circle_is_the_moments_of_the_mask_beside_it(trained):
    network = load_run(trained).network
    with torch.no_grad():
        outputs = network.activate(network(_boxed(_pictures(trained))))
    assert list(outputs) == ["extent.circle", "outline.mask"]
    for circle, mask in zip(outputs["extent.circle"], outputs["outline.mask"][:, 0], strict=True):
        rows, columns = np.nonzero(mask.numpy() > 0.5)
        expected = [columns.mean() + 0.5, rows.mean() + 0.5, math.sqrt(len(rows) / math.pi)]
        np.testing.assert_allclose(circle.numpy(), expected, atol=1.5)  # half a ramp of a soft outline


def test_the_run_keeps_the_key_and_measures_the_circle(trained):
    folder = RunFolder(trained)
    assert load_run(trained).plans["extent"].config.reads() == ("outline",)
    assert "from: outline" in folder.config.read_text()
    header = (trained / "metrics.csv").read_text().splitlines()[0].split(",")
    assert any("extent.circle_iou" in column for column in header)
    assert not any("extent.loss" in column for column in header)


def test_the_file_agrees_with_the_network(trained, model):
    network, deployed = load_run(trained).network, dermtl.load(model, threads=1)
    pictures = _pictures(trained)
    with torch.no_grad():
        expected = network.activate(network(_boxed(pictures)))
    got = deployed.session.run(["extent.circle"], {"image": _boxed(pictures).permute(0, 2, 3, 1).numpy()})
    np.testing.assert_allclose(got[0], expected["extent.circle"].numpy(), atol=0.02)
    for row, picture in enumerate(pictures):
        frame = Letterbox.of(picture, SIZE)
        circle = expected["extent.circle"][row].numpy()
        restored = [*frame.points(circle[:2]), *frame.lengths(circle[2:])]
        np.testing.assert_allclose(deployed.predict(picture)["extent.circle"], restored, atol=0.05)


def test_the_file_tells_its_heads_again(model):
    plans = replan_heads(read_bundle(model).heads)
    assert plans["extent"].config.reads() == ("outline",)
    assert plans["extent"].config.channel == 0


def test_an_ensemble_answers_with_the_mean_of_its_members_circles(trained):
    one, other = load_run(trained).network, load_run(trained).network
    with torch.no_grad():
        for parameter in other.heads["outline"].classify.parameters():
            parameter += 0.05
    images = _boxed(_pictures(trained))
    with torch.no_grad():
        both = Ensemble([one, other], [{}, {}]).eval()
        mean = both.activate(both(images))["extent.circle"]
        single = [network.activate(network(images))["extent.circle"] for network in (one, other)]
    torch.testing.assert_close(mean, (single[0] + single[1]) / 2)
    assert not torch.equal(single[0], single[1])
