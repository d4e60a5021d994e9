"""A head alone, as a graph: exported with a dynamic batch and run by ONNX Runtime."""

import onnxruntime as ort
import pytest
import torch

from dermtl.api import Features


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors this small are slower on many threads, above all where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class _Graph(torch.nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, pooled):
        return tuple(self.head.activate(self.head(Features(pooled, ()))).values())


@pytest.fixture
def exported_difference():
    """Largest difference between torch and ONNX Runtime at a given batch size."""

    def build(head, info):
        graph = _Graph(head).eval()
        dynamic = {"pooled": {0: torch.export.Dim.DYNAMIC}}
        pooled = torch.randn(2, info.num_pooled)
        program = torch.onnx.export(
            graph, (pooled,), dynamo=True, opset_version=20, verbose=False, dynamic_shapes=dynamic
        )
        session = ort.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])

        def difference(num):
            pooled = torch.randn(num, info.num_pooled)
            with torch.no_grad():
                expected = graph(pooled)
            (name,) = (node.name for node in session.get_inputs())
            got = session.run(None, {name: pooled.numpy()})
            assert [value.shape for value in got] == [tuple(value.shape) for value in expected]
            return max(float(abs(torch.from_numpy(a) - b).max()) for a, b in zip(got, expected, strict=True))

        return difference

    return build
