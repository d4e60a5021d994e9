"""What cannot be exported, and golden samples that cannot be used: one line, exit code 2."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dermtl.errors import BundleError, CheckpointError, ConfigError, ExportError
from dermtl.export.export import export_run
from dermtl.export.graph import Graph
from dermtl.export.onnx_file import to_onnx
from dermtl.kinds import Category
from dermtl.runtime.bundle import Bundle
from dermtl.runtime.golden import golden_path, make_samples, read_golden, write_golden


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no config.yaml, so it is not a run"):
        export_run(tmp_path, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_weights_is_refused(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    (tmp_path / "run" / "best.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"has no weights yet.*--resume"):
        export_run(tmp_path / "run", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_file_that_answers_otherwise_is_no_success(run_folder, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from dermtl.cli import dermtl
    from dermtl.runtime import parity

    monkeypatch.setattr(parity, "LIMIT", -1.0)  # nothing agrees so well
    done = CliRunner().invoke(dermtl, ["export", str(run_folder), "--out", str(tmp_path / "model.onnx")])
    assert done.exit_code == 1
    assert "does not answer as the network does: do not deploy it" in done.output


@pytest.mark.parametrize("kept", [0, 7, 1000])
def test_damaged_weights_are_refused(run_folder, tmp_path, kept):
    shutil.copytree(run_folder, tmp_path / "run")
    weights = tmp_path / "run" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"best\.safetensors: cannot load these weights"):
        export_run(tmp_path / "run", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


class Undecided(torch.nn.Module):
    """A branch on the pixels: nothing that a graph can hold."""

    def forward(self, image):
        return {"a": image.mean(dim=(2, 3)) if image.sum().item() > 0 else image.amax(dim=(2, 3))}

    def activate(self, raw):
        return {"a.probability": raw["a"]}


@pytest.mark.slow
def test_a_network_that_torch_cannot_export_is_one_line():
    kinds = {"a.probability": Category(("x", "y", "z"))}
    bundle = Bundle("odd", 32, (0.5,) * 3, (0.5,) * 3, kinds, {"a": {}})
    with pytest.raises(ExportError, match="torch cannot export this network") as caught:
        to_onnx(Graph(Undecided(), kinds, 32), bundle, size=32)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "model.golden.zip"
    samples = make_samples(64)
    random = np.random.default_rng(0)
    write_golden(path, samples, [{"a.probability": random.random(3, np.float32)} for _ in samples])
    return path


def test_golden_samples_come_back(golden):
    found = read_golden(golden)
    assert [sample.name for sample, _ in found] == [sample.name for sample in make_samples(64)]
    assert len({sample.pixels.shape for sample, _ in found}) >= 5
    assert all(answer["a.probability"].shape == (3,) for _, answer in found)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_golden_samples_are_one_fault(golden, tmp_path, seed):
    """Bytes changed anywhere: either found, or without effect on what is read."""
    random = np.random.default_rng(seed)
    data = np.frombuffer(golden.read_bytes(), np.uint8).copy()
    if seed % 2:
        where = random.integers(0, len(data), 200)
        data[where] ^= random.integers(1, 256, 200, dtype=np.uint8)
    else:
        data = data[: random.integers(0, len(data))]
    path = tmp_path / "model.golden.zip"
    path.write_bytes(data.tobytes())
    with pytest.raises(BundleError, match="the golden samples are damaged") as caught:
        read_golden(path)
    assert "\n" not in str(caught.value)


def test_golden_samples_with_a_missing_entry(golden, tmp_path):
    path = golden_path(tmp_path / "model.onnx")
    with zipfile.ZipFile(golden) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if name != "tall.png":
                new.writestr(name, old.read(name))
    with pytest.raises(BundleError, match=r"model\.golden\.zip: the golden samples are damaged: .*tall\.png"):
        read_golden(path)
    with pytest.raises(BundleError, match=r"no golden samples.*dermtl export"):
        read_golden(tmp_path / "absent.golden.zip")
