"""A head as a graph of its own: exported with a dynamic batch and compared with ONNX Runtime.

Import the fixtures into a plugin's ``conftest.py``::

    from dermtl.testing.graph import exported_difference, one_thread
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from dermtl.model.head import Features, Head
from dermtl.testing.assertions import check

MakeFeatures = Callable[[int], Features]
"""Builds the features of a batch of the given size."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute with one thread: small tensors are slower on several, above all if tests share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def exported_difference() -> Callable[[Head, MakeFeatures], Callable[[int], float]]:
    """The function :func:`export_head`."""
    return export_head


def export_head(head: Head, make: MakeFeatures) -> Callable[[int], float]:
    """Export a head to ONNX.

    Args:
        head: Head to export.
        make: Builds the features of a batch of the given size.

    Returns:
        A function of the batch size that returns the largest difference between the outputs of torch and ONNX Runtime.
    """
    graph, example = _Graph(head).eval(), make(2)
    batch = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        graph,
        (example.pooled, example.maps),
        dynamo=True,
        opset_version=20,
        verbose=False,
        dynamic_shapes={"pooled": {0: batch}, "maps": tuple({0: batch} for _ in example.maps)},
    )
    if program is None:
        raise AssertionError("torch exports no graph")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = {node.name for node in session.get_inputs()}

    def difference(num: int) -> float:
        features = make(num)
        with torch.no_grad():
            expected = [value.numpy() for value in graph(features.pooled, features.maps)]
        feed = {"pooled": features.pooled, **{f"maps_{i}": values for i, values in enumerate(features.maps)}}
        got = session.run(None, {name: value.numpy() for name, value in feed.items() if name in inputs})
        check([value.shape for value in got] == [value.shape for value in expected], "ONNX Runtime gives other shapes")
        return max(float(np.abs(one - other).max()) for one, other in zip(got, expected, strict=True))

    return difference


class _Graph(nn.Module):
    """Layers and activation of a head, as functions of tensors."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, pooled: Tensor, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        outputs: dict[str, Any] = self.head.activate(self.head(Features(pooled, tuple(maps))))
        return tuple(outputs.values())
