import random

import numpy as np
import pytest

import dermtl
from dermtl.errors import BundleError, MissingExtra
from dermtl.runtime.bundle.session import open_session


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(BundleError, match=r"no such file.*dermtl export"):
        open_session(tmp_path / "model.onnx")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is a folder"):
        open_session(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0", b"not a model", b"PK\x03\x04" + bytes(100), b"\x08\x0a" * 500])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx"):
        open_session(path)


def test_a_path_with_a_zero_byte_is_refused():
    with pytest.raises(BundleError):
        open_session("model\0.onnx")


def test_a_missing_provider_lists_what_there_is(model_path):
    with pytest.raises(MissingExtra, match=r"'tpu' is not available; available: .*CPUExecutionProvider"):
        open_session(model_path, providers=["tpu"])


@pytest.mark.parametrize("name", ["cpu", "CPU", "CPUExecutionProvider"])
def test_providers_have_short_names(model_path, name):
    assert open_session(model_path, providers=[name], threads=1).get_providers() == ["CPUExecutionProvider"]


def test_external_data_are_never_read(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    (tmp_path / "secret.bin").write_bytes(np.arange(3, dtype=np.float32).tobytes())
    tensor = onnx.TensorProto(name="secret", data_type=onnx.TensorProto.FLOAT, dims=[3])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    value = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [3])
    graph = helper.make_graph([helper.make_node("Identity", ["secret"], ["out"])], "g", [], [value], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError):
        open_session(path)


def test_damaged_files_give_errors_of_ours_only(tmp_path, model_path):
    """300 damaged copies: each is refused, or works; nothing else comes out."""
    whole = model_path.read_bytes()
    chance = random.Random(0)
    image = np.full((9, 12, 3), 100, np.uint8)
    path = tmp_path / "damaged.onnx"
    refused = []
    for attempt in range(300):
        content = bytearray(whole)
        for _ in range(1 + attempt % 4):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content if attempt % 10 else content[: chance.randrange(len(content))])
        try:
            prediction = dermtl.load(path, threads=1).predict(image)
            prediction.to_json()
            prediction.draw(image)
        except BundleError as error:
            refused.append(str(error))
    assert len(refused) > 150
    assert all("damaged.onnx" in message for message in refused)
