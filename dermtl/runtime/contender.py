"""Contenders of a benchmark: each prepares a file and runs a batch of prepared files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import BundleError
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.runtime.bundle.session import faults
from dermtl.runtime.predictor import Model

_LAYOUTS = "float [N, 3, H, W], or uint8 [N, H, W, 3]"


@dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Attributes:
        name: Name in the table.
        prepare: Decodes a file and resizes it to the network's input.
        run: Predicts prepared files, and restores the outputs to the source frame if that is part of the contender.
        file: Model file of the contender; None if there is none.
        code: Python code that loads the model and predicts the picture ``sys.argv[1]``, to time a fresh process.
    """

    name: str
    prepare: Callable[[Path], Any]
    run: Callable[[Sequence[Any]], Any]
    file: Path | None = None
    code: str = ""


def dermtl_contender(model: Model, path: Path) -> Contender:
    """An exported model in dermtl's runtime."""

    def run(squares: Sequence[Any]) -> None:
        for output, square in zip(model.run(squares), squares, strict=True):
            model.restore(output, square.letterbox)

    code = f"import sys, dermtl; dermtl.load({str(path)!r}).predict(sys.argv[1])"
    return Contender(path.name, model.prepare, run, path, code)


def onnx_contender(path: Path, size: int, threads: int) -> Contender:
    """Any other ONNX file with one picture as input, fed letterboxed pictures in plain ONNX Runtime.

    Args:
        path: The file.
        size: Side of the input in pixels, if the file leaves it open.
        threads: Number of threads within one operator.

    Raises:
        BundleError: ONNX Runtime cannot run the file, or the input of its model is no picture.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with faults(str(path), "is not a model that ONNX Runtime can run", hint="give another file"):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = [(node.name, node.type, node.shape) for node in session.get_inputs()]
    name, type_, shape = inputs[0]
    planar = len(shape) == 4 and shape[1] == 3 and type_ == "tensor(float)"
    if len(inputs) != 1 or not (planar or (len(shape) == 4 and shape[3] == 3 and type_ == "tensor(uint8)")):
        raise BundleError(f"expected one input, {_LAYOUTS}, got {inputs}", where=str(path), hint="give another file")
    fixed = shape[2] if planar else shape[1]
    side = fixed if isinstance(fixed, int) else size

    def prepare(file: Path) -> Array:
        image = read_image(file)
        square = Letterbox.of(image, side).apply(image)
        return np.ascontiguousarray(square.transpose(2, 0, 1), np.float32) / 255 if planar else square

    return Contender(path.name, prepare, lambda ready: session.run(None, {name: np.stack(ready)}), path)
