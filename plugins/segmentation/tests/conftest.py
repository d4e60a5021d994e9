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

    def forward(self, pooled, maps):
        return tuple(self.head.activate(self.head(Features(pooled, tuple(maps)))).values())


@pytest.fixture
def exported_difference():
    """Largest difference between torch and ONNX Runtime at a given batch size."""

    def build(head, make):
        graph, example = _Graph(head).eval(), make(2)
        batch = torch.export.Dim.DYNAMIC
        dynamic = {"pooled": {0: batch}, "maps": tuple({0: batch} for _ in example.maps)}
        program = torch.onnx.export(
            graph,
            (example.pooled, example.maps),
            dynamo=True,
            opset_version=20,
            verbose=False,
            dynamic_shapes=dynamic,
        )
        session = ort.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
        used = {node.name for node in session.get_inputs()}

        def difference(num):
            features = make(num)
            with torch.no_grad():
                expected = graph(features.pooled, features.maps)
            feed = {"pooled": features.pooled, **{f"maps_{i}": values for i, values in enumerate(features.maps)}}
            got = session.run(None, {name: value.numpy() for name, value in feed.items() if name in used})
            assert [value.shape for value in got] == [tuple(value.shape) for value in expected]
            return max(float(abs(torch.from_numpy(a) - b).max()) for a, b in zip(got, expected, strict=True))

        return difference

    return build
