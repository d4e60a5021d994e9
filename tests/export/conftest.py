"""Untrained networks of every kind whose answers depend on the picture, and a run's folder with one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SIZE = 48
HEADS = {
    "diagnosis": {"type": "classification", "classes": ["keratosis", "melanoma", "nevus"]},
    "extent": {"type": "circle"},
    "outline": {"type": "segmentation", "classes": ["lesion"], "channels": [8, 8]},
}
CONFIG = """\
name: tiny
data: {root: pictures, group: patient_id}
backbone: {name: test_efficientnet, pretrained: false, image_size: 48, mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2]}
heads:
  diagnosis: {type: classification, classes: [keratosis, melanoma, nevus]}
  extent: {type: circle}
  outline: {type: segmentation, classes: [lesion], channels: [8, 8]}
training:
  stages: [{epochs: 1}]
"""


def blocks(height: int, width: int, *, num: int = 1, seed: int = 0) -> np.ndarray:
    """Pictures of coloured squares, uint8 [N, H, W, 3]: edges and flat parts, other in every picture."""
    levels = np.random.default_rng(seed).integers(0, 256, (num, height // 9 + 1, width // 9 + 1, 3), dtype=np.uint8)
    return levels.repeat(9, axis=1).repeat(9, axis=2)[:, :height, :width]


@pytest.fixture(scope="session")
def draw_blocks() -> Callable[..., np.ndarray]:
    return blocks


@pytest.fixture(scope="session")
def untrained() -> Callable[..., tuple]:
    """Build (network, output kinds) on any backbone.

    Fresh heads answer nearly alike whatever they see, and random layers may lose the picture on the way: the linear
    layers get larger weights, and BatchNorms see one batch.
    """

    def build(backbone: str, size: int) -> tuple:
        import torch

        from dermtl.config.experiment import Experiment
        from dermtl.config.source import Source
        from dermtl.model.network import build_network
        from dermtl.plugins.plan import plan_heads

        data = {
            "name": "tiny",
            "backbone": {"name": backbone, "pretrained": False, "image_size": size},
            "heads": HEADS,
            "training": {"stages": [{"epochs": 1}]},
        }
        plans = plan_heads(Experiment.model_validate(data), Source(data))
        torch.manual_seed(0)
        network = build_network(Experiment.model_validate(data).backbone, plans)
        liven(network, size)
        return network.eval(), {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}

    return build


def liven(network, size: int) -> None:
    import torch

    from dermtl.imaging.letterbox import Letterbox
    from dermtl.runtime.golden import make_samples

    pictures = [sample.pixels for sample in make_samples(64)]
    pictures += [picture for hw in ((70, 133), (150, 61), (99, 99)) for picture in blocks(*hw, num=5)]
    boxed = [Letterbox(picture.shape[:2], size).apply(picture) for picture in pictures]
    planes = torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()
        network(planes)
        network.eval()
        pooled = network.backbone(planes).pooled
    spread = float((pooled - pooled.mean(dim=0)).norm(dim=1).mean())
    # With logits that spread by 1, torch's float32 alone is 1.4e-4 from float64 on an untrained inception_v3.
    for head, answers in (("diagnosis", 1.0), ("extent", 0.1)):
        for module in network.heads[head].modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=answers / spread)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with weights, as training leaves it; not to be written to."""
    import torch

    from dermtl.model.checkpoint import save_weights
    from dermtl.model.network import build_network
    from dermtl.plugins.plan import plan_heads
    from dermtl.runs.folder import RunFolder

    folder = RunFolder(tmp_path_factory.mktemp("run"))
    folder.config.write_text(CONFIG)
    experiment, source = folder.read_experiment()
    torch.manual_seed(0)
    network = build_network(experiment.backbone, plan_heads(experiment, source))
    liven(network, SIZE)
    save_weights(folder.best, network.state_dict())
    folder.note(
        {"versions": {"torch": torch.__version__}, "command": "dermtl train /home/someone/tiny.yaml", "seed": 0}
    )
    return folder.path


@pytest.fixture(scope="session")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``model.onnx`` with its golden samples; not to be written to."""
    from dermtl.export.export import export_run

    return export_run(run_folder, tmp_path_factory.mktemp("exported") / "model.onnx")
