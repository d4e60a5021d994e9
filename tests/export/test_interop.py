"""The file in other people's hands: Node without native code, and Triton."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dermtl
from dermtl.export.triton import triton_config, write_triton
from dermtl.runtime.bundle import Bundle
from dermtl.runtime.parity import graph_outputs

EXAMPLE = Path(__file__).parents[2] / "deploy" / "node"


@pytest.mark.release
def test_node_answers_as_python_does(exported, draw_blocks, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("needs node")
    if not (EXAMPLE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("needs npm install in deploy/node")
    pictures = [draw_blocks(*hw, seed=hw[0])[0] for hw in ((61, 97), (48, 48), (150, 71))]
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{number}.ppm")
    files = [str(tmp_path / f"{number}.ppm") for number in range(len(pictures))]
    command = ["node", str(EXAMPLE / "predict.mjs"), str(exported), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    model = dermtl.load(exported)
    for line, picture in zip(done.stdout.splitlines(), pictures, strict=True):
        given, expected = json.loads(line), graph_outputs(model, picture)
        assert set(given) == {"image", *expected}
        np.testing.assert_allclose(given["diagnosis.probability"], expected["diagnosis.probability"], atol=1e-4)
        np.testing.assert_allclose(given["extent.circle"], expected["extent.circle"], atol=0.05)
        assert given["outline.mask"]["dims"] == [1, *expected["outline.mask"].shape]
        assert given["outline.mask"]["sum"] == pytest.approx(expected["outline.mask"].sum(), rel=1e-3)


@pytest.mark.release
def test_triton_gets_the_file_and_its_contract(exported, tmp_path):
    onnx = pytest.importorskip("onnx")
    text = write_triton(exported, tmp_path, "lesions").read_text()
    assert (tmp_path / "lesions" / "1" / "model.onnx").read_bytes() == exported.read_bytes()
    assert 'backend: "onnxruntime"' in text
    types = {onnx.TensorProto.FLOAT: "FP32", onnx.TensorProto.UINT8: "UINT8"}
    graph = onnx.load(exported).graph
    found = re.findall(r'name: "([^"]+)", data_type: TYPE_(\w+), dims: \[ ([-0-9, ]+) \]', text)
    assert found == [
        (
            value.name,
            types[value.type.tensor_type.elem_type],
            ", ".join(axes(value)),
        )
        for value in (*graph.input, *graph.output)
    ]
    assert text.count("{") == text.count("}") == len(found)


def axes(value):
    return [str(dim.dim_value or -1) for dim in value.type.tensor_type.shape.dim]


def test_names_are_quoted_for_triton():
    bundle = Bundle("m", 8, (0.0,) * 3, (1.0,) * 3, {}, {})
    assert triton_config(bundle, 'a"b\\').startswith('name: "a\\"b\\\\"\n')
