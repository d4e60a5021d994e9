"""What ONNX Runtime answers is what torch answers, whatever the backbone, the batch and the shape of the picture."""

import numpy as np
import pytest
import torch

from dermtl.export.graph import Graph
from dermtl.export.onnx_file import to_onnx
from dermtl.runtime.bundle import Bundle

BACKBONES = {
    "resnet18": 64,
    "mobilenetv2_100": 64,
    "efficientnet_b0": 64,
    "convnext_atto": 64,
    "vit_tiny_patch16_224": 224,
    "swin_tiny_patch4_window7_224": 224,
    "vgg11_bn": 64,
    "inception_v3": 96,
}
SHAPES = ((70, 133), (150, 61), (99, 99))


@pytest.mark.release
@pytest.mark.parametrize("backbone", BACKBONES)
def test_graph_and_file_agree(backbone, untrained, draw_blocks):
    onnxruntime = pytest.importorskip("onnxruntime")
    size = BACKBONES[backbone]
    network, kinds = untrained(backbone, size)
    graph = Graph(network, kinds, size)
    bundle = Bundle("tiny", size, (0.5,) * 3, (0.5,) * 3, kinds, {name.partition(".")[0]: {} for name in kinds})
    session = onnxruntime.InferenceSession(to_onnx(graph, bundle, size=size))
    seen = []
    for num in (1, 3):
        for height, width in SHAPES:
            pictures = draw_blocks(height, width, num=num, seed=num)
            with torch.no_grad():
                probability, circle, mask = (value.numpy() for value in graph(torch.from_numpy(pictures)))
            got = session.run(graph.names, {"image": pictures})
            assert [value.shape for value in got] == [(num, 3), (num, 3), (num, 1, height, width)]
            assert np.abs(got[0] - probability).max() <= 1e-4
            assert np.abs(got[1] - circle).max() <= 0.05
            assert np.abs(got[2] - mask).max() <= 1e-4
            seen.extend(zip(probability, circle / max(height, width), mask.std(axis=(1, 2, 3)), strict=True))
    # Networks that answer the same to everything would agree, too.
    answers = [np.array(values) for values in zip(*seen, strict=True)]
    assert answers[0].std(axis=0).max() > 0.01
    assert answers[1].std(axis=0).max() > 0.01
    assert answers[2].min() > 0.001
