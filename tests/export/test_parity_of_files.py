"""Encoded files through every way into a model: the network, the graph fed raw pictures, the host's batches."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import dermtl
from dermtl.errors import InputError
from dermtl.runtime.parity import compare_files

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(draw_blocks, tmp_path_factory):
    """JPEG and PNG, odd sizes, turned by EXIF."""
    folder = tmp_path_factory.mktemp("files")
    exif = Image.Exif()
    for number, (height, width) in enumerate([(61, 97), (150, 71), (33, 33), (48, 48), (201, 133)]):
        image = Image.fromarray(draw_blocks(height, width, seed=number)[0])
        exif[0x0112] = 1 + number
        image.save(folder / f"{number}.jpg", quality=95, exif=exif)
        image.convert("L" if number == 1 else "RGB").save(folder / f"{number}.png")
    return folder


def test_the_three_ways_agree(exported, run_folder, files):
    from dermtl.export.network_outputs import network_outputs

    model = dermtl.load(exported)
    found = compare_files(model, sorted(files.iterdir()), network_outputs(run_folder, model.kinds))
    assert {(one.path, one.output) for one in found} == {
        (way, name) for way in ("network-graph", "graph-host") for name in model.kinds
    }
    assert [one for one in found if not one.ok] == []
    assert all((one.dice is None) == (one.output != "outline.mask") for one in found)
    assert max(one.worst for one in found) > 0


def test_a_changed_weight_shows_against_the_network_and_not_between_the_files_ways(
    exported, run_folder, files, tmp_path
):
    from dermtl.export.network_outputs import network_outputs

    proto = onnx.load(exported)
    weight = next(tensor for tensor in proto.graph.initializer if tensor.name.endswith("conv_head.weight"))
    values = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(values + 0.05 * values.std(), weight.name))
    onnx.save(proto, tmp_path / "model.onnx")
    model = dermtl.load(tmp_path / "model.onnx")
    found = compare_files(model, sorted(files.iterdir())[:4], network_outputs(run_folder, model.kinds))
    assert not all(one.ok for one in found if one.path == "network-graph")


def test_another_run_is_refused(run_folder):
    from dermtl.export.network_outputs import network_outputs

    with pytest.raises(InputError, match="not those of the model"):
        network_outputs(run_folder, {})


def test_the_command(exported, run_folder, files):
    command = [sys.executable, "-m", "dermtl", "verify", str(exported), "--images", str(files), "--json"]
    done = subprocess.run([*command, "--run", str(run_folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    rows = json.loads(done.stdout)
    assert {row["path"] for row in rows} == {"golden-graph", "golden-host", "network-graph", "graph-host"}
    assert np.isfinite([row["worst"] for row in rows]).all()


def test_photographs(exported, shared):
    folders = ("busi", "ph2", "bccd", "isic_uda1")
    pictures = [path for name in folders for path in sorted((shared / "data" / name).rglob("*.jpg"))[:3]]
    assert [one for one in compare_files(dermtl.load(exported), pictures) if not one.ok] == []
