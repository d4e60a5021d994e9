"""The file as others find it: one self-contained graph with the names, axes and metadata of the contract."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dermtl
from dermtl.export.export import export_run
from dermtl.imaging.decode import read_image
from dermtl.runtime.bundle import read_bundle
from dermtl.runtime.golden import golden_path, read_golden, replay

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "deploy" / "plain_onnxruntime.py"
# An import of either fails in the child: what runs there runs without them.
ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys(("dermtl", "torch", "timm", "onnx")))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def axes(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_names_types_and_axes(exported):
    graph = onnx.load(exported).graph
    assert [(value.name, axes(value)) for value in graph.input] == [("image", ["N", "H", "W", 3])]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [(value.name, axes(value)) for value in graph.output] == [
        ("diagnosis.probability", ["N", 3]),
        ("extent.circle", ["N", 3]),
        ("outline.mask", ["N", 1, "H", "W"]),
    ]
    assert {value.type.tensor_type.elem_type for value in graph.output} == {onnx.TensorProto.FLOAT}


def test_standard_operators_in_one_valid_file(exported):
    model = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain for entry in model.opset_import} <= {"", "ai.onnx"}
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert len(model.functions) == 0
    assert {tensor.data_location for tensor in model.graph.initializer} == {onnx.TensorProto.DEFAULT}
    assert sorted(path.name for path in exported.parent.iterdir()) == [
        "model.golden.zip",
        "model.onnx",
        "model.onnx.sha256",
    ]


def test_nothing_of_the_exporting_machine(exported, run_folder):
    data = exported.read_bytes()
    telling = [str(REPOSITORY), str(run_folder), str(Path.home()) + "/", "/home/", "site-packages", 'File "', "lambda "]
    assert [text for text in telling if text.encode() in data] == []
    assert re.findall(rb"\w+\.py\b", data) == []
    assert re.findall(rb"(?:def|class|import|return) \w+", data) == []


def test_metadata_are_json_and_rebuild_the_kinds(exported, untrained):
    (entry,) = onnx.load(exported).metadata_props
    document = json.loads(entry.value)
    assert (entry.key, document["schema"], document["name"]) == ("dermtl", 1, "tiny")
    assert document["input"] == {"name": "image", "size": 48, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
    assert document["heads"]["extent"]["origin"]["distribution"] == "dermtl-regression"
    assert document["data"] == {"image": "image", "group": ["patient_id"]}
    assert set(document["provenance"]) == {"versions", "seed"}
    bundle = read_bundle(exported)
    assert {name: kind.kind for name, kind in bundle.outputs.items()} == {
        "diagnosis.probability": "category",
        "extent.circle": "circle",
        "outline.mask": "mask",
    }


def test_what_a_person_wrote_travels_with_the_model(run_folder, tmp_path):
    from dermtl.evaluation.model_card.fields import read_card_fields

    run = shutil.copytree(run_folder, tmp_path / "run")
    (run / "card.yaml").write_text("intended_use: Triage, in a dermatologist's hands.\nlimits: ''\n")
    (tmp_path / "elsewhere").mkdir()
    model = export_run(run, tmp_path / "elsewhere" / "model.onnx")
    assert read_bundle(model).card == {"intended_use": "Triage, in a dermatologist's hands."}
    facts = read_card_fields(None, model)
    assert facts.intended_use == "Triage, in a dermatologist's hands."
    assert "limits" in facts.missing


def test_the_same_run_gives_the_same_bytes(exported, run_folder, tmp_path):
    again = export_run(run_folder, tmp_path / "other name.onnx")

    def digests(path):
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, golden_path(path))]

    assert digests(again) == digests(exported)


def test_both_ways_in_agree_with_the_network(exported):
    found = replay(dermtl.load(exported), read_golden(golden_path(exported)))
    assert {difference.path for difference in found} == {"golden-graph", "golden-host"}
    assert [difference for difference in found if not difference.ok] == []


def test_a_changed_weight_is_found(exported, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(golden_path(exported), golden_path(path))
    model = onnx.load(exported)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("conv_head.weight"))
    values = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(values + 0.05 * values.std(), weight.name))
    onnx.save(model, path)
    found = replay(dermtl.load(path), read_golden(golden_path(path)))
    assert not all(difference.ok for difference in found)


def test_another_runtime_needs_only_the_file(exported, drawn, tmp_path):
    """Ten lines of Python with ONNX Runtime, fed raw pictures of unlike sizes, against dermtl's own prediction."""
    pictures = sorted((drawn / "images").iterdir())[:6]
    assert len({read_image(path).shape for path in pictures}) > 2
    assert plain_agrees(exported, pictures, tmp_path)


def test_another_runtime_on_photographs(exported, shared, tmp_path):
    pictures = [min((shared / "data" / name).rglob("*.jpg")) for name in ("busi", "ph2", "bccd", "ham10000_224")]
    pictures += sorted((shared / "data" / "isic_uda1" / "original").glob("*.jpg"))[:1]
    assert plain_agrees(exported, pictures, tmp_path)


def test_another_runtime_on_odd_pictures(exported, tmp_path):
    """16-bit greys are scaled, what is transparent lies on black, and one pixel is a picture."""
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 65536, (40, 60)).astype(np.uint16)
    colours = generator.integers(0, 256, (30, 50, 4)).astype(np.uint8)
    made = {
        "grey16.png": Image.fromarray(levels),
        "grey16.tif": Image.fromarray(levels),
        "clear.png": Image.fromarray(colours),
        "clear.tif": Image.fromarray(colours),
        "grey.png": Image.fromarray(colours[..., 0]),
        "one.png": Image.fromarray(colours[:1, :1, :3]),
        "strip.png": Image.fromarray(np.repeat(colours[:1, :, :3], 40, axis=1)),
    }
    for name, picture in made.items():
        picture.save(tmp_path / name)
    assert plain_agrees(exported, [tmp_path / name for name in made], tmp_path)


def plain_agrees(model: Path, pictures: list[Path], folder: Path) -> bool:
    command = [sys.executable, "-c", ALONE, SCRIPT, model, *pictures]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, cwd=folder, timeout=120)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["image"] for answer in answers] == [str(path) for path in pictures]
    loaded = dermtl.load(model)
    for path, answer in zip(pictures, answers, strict=True):
        expected = loaded.predict(path)
        assert answer["diagnosis.probability"] == expected["diagnosis"]["label"]
        away = np.abs(answer["extent.circle"] - expected["extent.circle"]) / max(expected.image_hw)
        assert away.max() <= 1e-5
        mask = expected["outline.mask"][0]
        close = (np.abs(mask - 0.5) < 1e-4).sum()  # decided by rounding
        assert abs(answer["outline.mask"]["lesion"] - (mask >= 0.5).sum()) <= close
    return True
