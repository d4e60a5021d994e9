"""Which nodes of an exported graph can be quantised, as layers: one node with weights, and what follows a convolution.

What follows a product of matrices stays in float: the sums of a transformer hold a few values far above all others.
Never among them: the letterbox before the network, where rounding to one of 256 values would move every circle; each
head's last layer, which gives the answer; and the way back after it.
"""

from dataclasses import dataclass

import onnx

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_FOLLOWING = ("Add", "Relu", "Clip", "MaxPool", "GlobalAveragePool", "AveragePool")
OPERATORS = (*_WEIGHTED, *_FOLLOWING)


@dataclass(frozen=True)
class Layer:
    """A part of the network that is quantised as a whole or not at all.

    Attributes:
        nodes: Names of its nodes, the one with weights first.
        tensors: Names of what they take in and give out, weights left out.
    """

    nodes: tuple[str, ...]
    tensors: tuple[str, ...]


def find_layers(graph: onnx.GraphProto) -> list[Layer]:
    """The layers of a network in the order in which they run."""
    fixed = {tensor.name for tensor in graph.initializer}
    last = _last(graph, fixed)
    found: list[list[onnx.NodeProto]] = []
    owner: dict[str, int] = {}  # tensor to the latest layer above it
    answers: set[str] = set()  # tensors below a last layer
    for node in graph.node:
        moving = [name for name in node.input if name and name not in fixed]
        above = [owner[name] for name in moving if name in owner]
        if node.name in last or any(name in answers for name in moving):
            answers.update(node.output)
        elif _is_weighted(node, fixed):
            above = [len(found)]
            found.append([node])
        elif node.op_type in _FOLLOWING and above and len(above) == len(moving):
            layer = found[max(above)]
            if layer[0].op_type == "Conv":
                layer.append(node)
        if above:
            owner |= dict.fromkeys(node.output, max(above))
    return [
        Layer(
            tuple(node.name for node in nodes),
            tuple(dict.fromkeys(name for node in nodes for name in (*node.input, *node.output) if name not in fixed)),
        )
        for nodes in found
    ]


def _last(graph: onnx.GraphProto, fixed: set[str]) -> set[str]:
    """Nodes with weights that no other such node comes after."""
    last = set()
    leading: set[str] = set()  # tensors that such a node is made from
    for node in reversed(graph.node):
        leads = any(name in leading for name in node.output)
        if _is_weighted(node, fixed):
            if not leads:
                last.add(node.name)
            leads = True
        if leads:
            leading.update(node.input)
    return last


def _is_weighted(node: onnx.NodeProto, fixed: set[str]) -> bool:
    return node.op_type in _WEIGHTED and any(name in fixed for name in node.input)
