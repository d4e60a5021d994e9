"""The command line at its real entry point, in this process or in its own."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dermtl.cli import main

CONFIG = """\
name: tiny
data: {root: ROOT}
backbone: {name: test_resnet, pretrained: false, image_size: 64}
heads:
  diagnosis: {type: classification}
  extent: {type: circle}
  outline: {type: segmentation, classes: [lesion], channels: [8, 8]}
training:
  stages: [{epochs: 1, lr: 1e-3}]
  batch_size: 8
  workers: 0
  augmentation: light
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """``dermtl ARGUMENTS`` through :func:`main`: what it prints, and its exit code."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["dermtl", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return Done(int(stop.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def tiny_config(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with three heads on the drawn set; not to be written to."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(CONFIG.replace("ROOT", str(drawn)))
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch; tests may add files of their own names."""
    from dermtl.training.train import train

    return train(tiny_config, run=tmp_path_factory.mktemp("runs") / "tiny").path


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path) -> Path:
    """The run's ``model.onnx``, inside the run; not to be written to."""
    from dermtl.export.export import export_run

    return export_run(tiny_run, tiny_run / "model.onnx")
