"""The exporter: a graph module to the bytes of one self-contained ONNX file."""

import contextlib
import io
import logging
import warnings

import onnx
import torch

from dermtl.errors import ExportError
from dermtl.export.graph import Graph
from dermtl.export.resize_op import TRANSLATION
from dermtl.runtime.bundle import INPUT, KEY, Bundle

OPSET = 20
_DOMAINS = frozenset({"", "ai.onnx"})


def to_onnx(graph: Graph, bundle: Bundle, *, size: int) -> bytes:
    """Export with a dynamic batch, height and width.

    Args:
        graph: On the CPU, in eval mode.
        bundle: The metadata to carry.
        size: Side of the network's input; the example is a little larger, and not square.

    Raises:
        ExportError: torch cannot export this network, or an operator is not standard.
    """
    example = torch.randint(0, 256, (2, size + 16, size + 40, 3), dtype=torch.uint8)
    dims = {0: torch.export.Dim("N"), 1: torch.export.Dim("H", min=2), 2: torch.export.Dim("W", min=2)}
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                input_names=[INPUT],
                output_names=graph.names,
                dynamic_shapes=(dims,),
                custom_translation_table=TRANSLATION,
                verbose=False,
            )
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # torch wraps what went wrong in advice to its own developers
            cause = cause.__cause__
        first = str(cause).strip().splitlines()
        raise ExportError(
            f"torch cannot export this network: {type(cause).__name__}: {first[0] if first else ''}",
            hint="docs/export_matrix.md lists backbones that export; run with --debug for the whole story",
        ) from error
    finally:
        quiet.setLevel(level)
    assert program is not None
    model = program.model_proto
    _strip(model)
    _name_axes(model, bundle)
    foreign = {node.domain for node in model.graph.node} - _DOMAINS
    if foreign or len(model.functions):
        raise ExportError(f"the graph uses operators outside the standard: {', '.join(sorted(foreign))}")
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, bundle.to_json()
    data: bytes = model.SerializeToString()
    return data


def _strip(model: onnx.ModelProto) -> None:
    """Take out what tells of the exporting machine: stack traces, documentation, value annotations."""
    del model.metadata_props[:]
    model.doc_string = ""
    graph = model.graph
    graph.doc_string = ""
    graph.name = "dermtl"
    del graph.metadata_props[:]
    del graph.value_info[:]
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        item.doc_string = ""
        del item.metadata_props[:]


def _name_axes(model: onnx.ModelProto, bundle: Bundle) -> None:
    """Call the free axes N, H and W, as the contract does."""
    axes = {INPUT: ("N", "H", "W", 3)} | {name: ("N", *kind.shape) for name, kind in bundle.outputs.items()}
    for value in (*model.graph.input, *model.graph.output):
        for dim, axis in zip(value.type.tensor_type.shape.dim, axes[value.name], strict=True):
            if isinstance(axis, str):
                dim.dim_param = axis
