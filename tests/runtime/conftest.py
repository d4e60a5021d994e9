"""A real ONNX model without a network: colour statistics, a circle in the middle, a mask of what is red."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.kinds import Category, Circle, Kind, Mask, Number
from dermtl.runtime.bundle import Bundle

SIZE = 32
KINDS: dict[str, Kind] = {
    "diagnosis.probability": Category(("reddish", "greenish", "bluish")),
    "extent.circle": Circle(),
    "outline.mask": Mask(("red",)),
    "age.value": Number(("age",), ("years",)),
}


def demo_bundle(**changes: object) -> Bundle:
    heads = {head: {"type": "demo", "config": {}} for head in ("diagnosis", "extent", "outline", "age")}
    values = {"name": "demo", "size": SIZE, "mean": (0.5,) * 3, "std": (0.5,) * 3, "outputs": KINDS, "heads": heads}
    return Bundle(**{**values, "data": {"image": "image", "group": []}, **changes})  # type: ignore[arg-type]


def write_model(path: Path, *, bundle: Bundle | None = None, metadata: dict[str, str] | None = None) -> Path:
    """Write the graph with a bundle's metadata, or with these metadata.

    diagnosis = softmax(10 mean colour), extent = the middle and a quarter of the longer side,
    outline = sigmoid(20 (red - 0.5)), age = 100 mean green.
    """
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    constants = {
        "level": np.float32(255), "ten": np.float32(10), "twenty": np.float32(20), "half": np.float32(0.5),
        "hundred": np.float32(100), "plane": np.array([2, 3]), "one": np.array([1]), "two": np.array([2]),
        "zero": np.array([0]), "middle": np.array([0.5, 0.5, 0.25], np.float32), "hw": np.array([1, 2]),
        "wh_order": np.array([1, 0]),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["float_image"], to=onnx.TensorProto.FLOAT),
        node("Transpose", ["float_image"], ["levels"], perm=[0, 3, 1, 2]),
        node("Div", ["levels", "level"], ["unit"]),
        node("ReduceMean", ["unit", "plane"], ["colour"], keepdims=0),
        node("Mul", ["colour", "ten"], ["logits"]),
        node("Softmax", ["logits"], ["diagnosis.probability"], axis=-1),
        node("Slice", ["colour", "one", "two", "one"], ["green"]),
        node("Mul", ["green", "hundred"], ["age.value"]),
        node("Slice", ["unit", "zero", "one", "one"], ["red"]),
        node("Sub", ["red", "half"], ["above"]),
        node("Mul", ["above", "twenty"], ["steep"]),
        node("Sigmoid", ["steep"], ["outline.mask"]),
        node("Shape", ["image"], ["shape"]),
        node("Gather", ["shape", "hw"], ["sides"]),
        node("Gather", ["sides", "wh_order"], ["width_height"]),
        node("ReduceMax", ["sides", "zero"], ["longer"], keepdims=1),
        node("Concat", ["width_height", "longer"], ["lengths"], axis=0),
        node("Cast", ["lengths"], ["float_lengths"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["float_lengths", "middle"], ["circle"]),
        node("Unsqueeze", ["circle", "zero"], ["circles"]),
        node("Slice", ["shape", "zero", "one"], ["number"]),
        node("Concat", ["number", "one"], ["tiles"], axis=0),
        node("Tile", ["circles", "tiles"], ["extent.circle"]),
    ]
    shapes = {
        "diagnosis.probability": ["N", 3],
        "extent.circle": ["N", 3],
        "outline.mask": ["N", 1, "H", "W"],
        "age.value": ["N", 1],
    }
    graph = helper.make_graph(
        nodes,
        "demo",
        [helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    props = metadata if metadata is not None else {"dermtl": (bundle or demo_bundle()).to_json()}
    helper.set_model_props(model, props)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="session")
def build_model() -> Callable[..., Path]:
    return write_model


@pytest.fixture(scope="session")
def build_bundle() -> Callable[..., Bundle]:
    return demo_bundle


def half_red(height: int, width: int) -> np.ndarray:
    """Red on the left half, blue on the right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 2] = 255
    return image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder as people have them: five pictures of odd sizes and forms, two broken files, things to pass over."""
    folder = tmp_path / "pictures"
    (folder / "b").mkdir(parents=True)
    (folder / ".thumbnails").mkdir()
    Image.fromarray(half_red(40, 90)).save(folder / "wide.jpg", quality=95)
    Image.fromarray(half_red(31, 7)).save(folder / "b" / "wide.jpg", quality=95)
    Image.fromarray(half_red(1, 1)).save(folder / "b" / "one.png")
    Image.fromarray(half_red(20, 60)[..., 0]).save(folder / "b" / "grey.TIF")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying down, shown upright: height and width change places
    Image.fromarray(half_red(30, 50)).save(folder / "turned.jpg", exif=exif)
    whole = (folder / "wide.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("not a picture")
    (folder / "notes.txt").write_text("passed over")
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / ".thumbnails" / "small.jpg").write_bytes(whole)
    return folder
