"""A tiny trained run with classes, tags, numbers and a tree above the classes, made once."""

from pathlib import Path

import pytest

EXPERIMENT = """\
name: tiny
data: {root: ROOT}
backbone: {name: test_resnet, pretrained: false, image_size: 64}
heads:
  diagnosis: {type: classification, taxonomy: {tree: TREE, max_class_size: 4}}
  age: {type: number, names: [age]}
  any: {type: tags, labels: [nevus, melanoma, keratosis], column: label}
training:
  stages: [{train: all, epochs: 1, lr: 2e-3}]
  batch_size: 8
  workers: 0
  accelerator: cpu
"""


@pytest.fixture(scope="session")
def explained_run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch; not to be written to."""
    from dermtl.training.train import train

    folder = tmp_path_factory.mktemp("explained")
    (folder / "tree.csv").write_text("path\nbenign/nevus\nbenign/keratosis\nmalignant/melanoma\n")
    text = EXPERIMENT.replace("ROOT", str(drawn)).replace("TREE", str(folder / "tree.csv"))
    (folder / "tiny.yaml").write_text(text)
    return train(folder / "tiny.yaml", run=folder / "run").path


@pytest.fixture(scope="session")
def loaded(explained_run: Path):
    from dermtl.runs.folder import load_run

    return load_run(explained_run)


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors this small are slower on many threads, above all where the cores are shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
