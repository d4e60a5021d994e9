"""Weights stored as float16, which halves the file. ONNX Runtime casts them to float32 when it opens the file."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

_SMALL = 64  # numbers a tensor: below, a cast costs more than it saves


def store_as_float16(content: bytes) -> bytes:
    """Store an exported model's large float tensors as float16, each followed by a cast.

    Tensors with a number that float16 cannot hold stay as they are.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALL or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], f"{name}.whole", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    data: bytes = model.SerializeToString()
    return data
