"""What a model file may be before anything of it runs."""

import hashlib
import os
import random

import numpy as np
import pytest

import dermtl
from dermtl.errors import BundleError
from dermtl.runtime.bundle import model_file
from dermtl.runtime.bundle.model_file import read_model, sidecar_path, write_model
from dermtl.runtime.bundle.self_contained import check_self_contained

onnx = pytest.importorskip("onnx")
helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


def external(location: str, *, offset: str = "") -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[3], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    if offset:
        tensor.external_data.add(key="offset", value=offset)
    return tensor


def graph(nodes=(), initializers=(), name="g"):
    out = helper.make_tensor_value_info("out", FLOAT, None)
    return helper.make_graph(list(nodes), name, [], [out], list(initializers))


def model(made, **options) -> onnx.ModelProto:
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, **options)


IDENTITY = helper.make_node("Identity", ["w"], ["out"])
CONSTANT = helper.make_node("Constant", [], ["out"], value=helper.make_tensor("v", FLOAT, [1], [1.0]))


def in_a_branch():
    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", onnx.TensorProto.BOOL, [], [1]))
    branch = graph([IDENTITY], [external("secret.bin")])
    other = graph([CONSTANT], name="other")
    return graph([condition, helper.make_node("If", ["c"], ["out"], then_branch=branch, else_branch=other)])


def in_a_constant():
    node = helper.make_node("Constant", [], ["out"])
    node.attribute.append(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=external("secret.bin")))
    return graph([node])


def in_sparse():
    made = graph([CONSTANT])
    made.sparse_initializer.add(values=external("secret.bin"), dims=[3])
    return made


def unflagged():
    tensor = external("secret.bin")
    tensor.data_location = onnx.TensorProto.DEFAULT
    return graph([IDENTITY], [tensor])


@pytest.mark.parametrize(
    "made",
    [
        *(graph([IDENTITY], [external(place)]) for place in ("secret.bin", "../secret.bin", "./a/../secret.bin", "")),
        graph([IDENTITY], [external("/etc/hostname")]),
        graph([IDENTITY], [external("link.bin")]),
        graph([IDENTITY], [external("*/_ORT_MEM_ADDR_/*", offset="4096")]),
        graph([IDENTITY], [onnx.TensorProto(name="w", data_type=FLOAT, dims=[3], data_location=1)]),
        in_a_branch(),
        in_a_constant(),
        in_sparse(),
        unflagged(),
    ],
)
def test_numbers_in_other_files_are_refused_wherever_they_are_named(tmp_path, monkeypatch, made):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.arange(3, dtype=np.float32).tobytes())
    os.link(tmp_path / "secret.bin", tmp_path / "link.bin")
    (tmp_path / "model.onnx").write_bytes(model(made).SerializeToString())
    with pytest.raises(BundleError, match="external data") as caught:
        dermtl.load("model.onnx")
    assert caught.value.hint


def test_operators_outside_the_standard_are_refused():
    foreign = graph([helper.make_node("FusedConv", ["a"], ["out"], domain="com.microsoft")])
    with pytest.raises(BundleError, match=r"'com\.microsoft', outside the standard"):
        check_self_contained(model(foreign).SerializeToString(), "m")
    imported = helper.make_model(graph([CONSTANT]), opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)])
    with pytest.raises(BundleError, match=r"'ai\.onnx\.ml'"):
        check_self_contained(imported.SerializeToString(), "m")


def test_functions_training_and_other_formats_are_refused():
    function = helper.make_function("", "f", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [])
    with pytest.raises(BundleError, match="functions"):
        check_self_contained(model(graph([CONSTANT]), functions=[function]).SerializeToString(), "m")
    trained = model(graph([CONSTANT]))
    trained.training_info.add()
    with pytest.raises(BundleError, match="training steps"):
        check_self_contained(trained.SerializeToString(), "m")
    with pytest.raises(BundleError, match="ONNX Runtime's own format"):
        check_self_contained(b"\x20\0\0\0ORTM" + bytes(100), "m")
    with pytest.raises(BundleError, match="no graph"):
        check_self_contained(onnx.ModelProto(ir_version=10).SerializeToString(), "m")


def test_a_file_of_countless_fields_is_given_up(monkeypatch):
    monkeypatch.setattr("dermtl.runtime.bundle.self_contained.MAX_FIELDS", 1000)
    with pytest.raises(BundleError, match="more than 1000 fields"):
        check_self_contained(b"\x08\x01" * 2000, "m")


def test_size_kind_and_sidecar(tmp_path, model_path, monkeypatch):
    path = tmp_path / "model.onnx"
    write_model(path, model_path.read_bytes())
    assert read_model(path).sha256 == hashlib.sha256(model_path.read_bytes()).hexdigest()
    assert sidecar_path(path).read_text().split() == [read_model(path).sha256, "model.onnx"]
    for text, message in (("0" * 64, "its sha256 is"), ("no digest", "holds no sha256"), ("", "holds no sha256")):
        sidecar_path(path).write_text(text)
        with pytest.raises(BundleError, match=message):
            dermtl.load(path)
    sidecar_path(path).unlink()
    dermtl.load(path)
    monkeypatch.setattr(model_file, "MAX_BYTES", 100)
    with pytest.raises(BundleError, match=r"more than 100"):
        dermtl.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(BundleError, match="no plain file"):
        dermtl.load(tmp_path / "model.onnx")


def test_a_flipped_bit_anywhere_is_refused_where_there_is_a_sidecar(tmp_path, model_path):
    path = tmp_path / "model.onnx"
    whole = model_path.read_bytes()
    write_model(path, whole)
    chance = random.Random(0)
    for at in {0, len(whole) - 1, *chance.sample(range(len(whole)), 200)}:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(BundleError, match="its sha256 is"):
            read_model(path)
