"""Every built-in head on timm backbones of all families: exported, and compared with torch.

Untrained networks whose BatchNorms saw a batch. For each backbone all heads are exported as one file; torch and ONNX
Runtime answer batches of 1, 3 and 8 pictures of three sizes. Largest differences: of probabilities and numbers, of
circles in pixels, of masks on average. ``--write`` makes the table of docs/export_matrix.md.
"""

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from dermtl.config.experiment import Experiment
from dermtl.config.source import Source
from dermtl.errors import DermtlError
from dermtl.export.graph import Graph
from dermtl.export.onnx_file import to_onnx
from dermtl.kinds import Circle, Mask
from dermtl.model.network import build_network
from dermtl.plugins.plan import plan_heads
from dermtl.runtime.bundle import Bundle

BACKBONES = {
    "resnet18": ("CNN", 64), "resnet50d": ("CNN", 64), "resnext50_32x4d": ("CNN", 64), "densenet121": ("CNN", 64),
    "vgg11_bn": ("CNN", 64), "inception_v3": ("CNN", 96), "mobilenetv1_100": ("CNN", 64),
    "mobilenetv2_100": ("CNN", 64), "mobilenetv3_large_100": ("CNN", 64), "mobilenetv4_conv_small": ("CNN", 64),
    "efficientnet_b0": ("CNN", 64), "tf_efficientnetv2_b0": ("CNN", 64), "regnety_002": ("CNN", 64),
    "convnext_atto": ("CNN", 64), "convnextv2_atto": ("CNN", 64), "repvgg_a0": ("CNN", 64),
    "vit_tiny_patch16_224": ("ViT", 224), "deit_tiny_patch16_224": ("ViT", 224), "eva02_tiny_patch14_224": ("ViT", 224),
    "swin_tiny_patch4_window7_224": ("hierarchical ViT", 224), "pvt_v2_b0": ("hierarchical ViT", 64),
    "mobilevit_xxs": ("hybrid", 64), "maxvit_rmlp_pico_rw_256": ("hybrid", 256), "poolformer_s12": ("hybrid", 64),
    "edgenext_xx_small": ("hybrid", 64), "mixer_s32_224": ("MLP", 224),
}  # fmt: skip
HEADS = {
    "diagnosis": {"type": "classification", "classes": ["keratosis", "melanoma", "nevus"]},
    "signs": {"type": "tags", "labels": ["network", "veil"]},
    "extent": {"type": "circle"},
    "age": {"type": "number", "names": ["age"], "mean": [50.0], "std": [15.0]},
    "outline": {"type": "segmentation", "classes": ["lesion"], "channels": [8, 8]},
}
FLAT = {name: head for name, head in HEADS.items() if name != "outline"}
SHAPES = ((70, 133), (151, 61), (99, 99))


def pictures(height: int, width: int, num: int) -> np.ndarray:
    """Coloured squares, uint8 [N, H, W, 3]."""
    levels = np.random.default_rng(num).integers(0, 256, (num, height // 9 + 1, width // 9 + 1, 3), dtype=np.uint8)
    return levels.repeat(9, axis=1).repeat(9, axis=2)[:, :height, :width]


def compare(backbone: str, size: int, heads: dict[str, dict[str, object]], quick: bool) -> dict[str, float]:
    """Export and compare; kind of figure to the largest difference."""
    config = {"name": backbone, "pretrained": False, "image_size": size}
    data = {"name": "matrix", "backbone": config, "heads": heads, "training": {"stages": [{"epochs": 1}]}}
    experiment = Experiment.model_validate(data)
    plans = plan_heads(experiment, Source(data))
    torch.manual_seed(0)
    network = build_network(experiment.backbone, plans)
    with torch.no_grad():  # BatchNorms see a batch: random layers would lose the picture on the way
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        network.train()
        network(torch.from_numpy(pictures(size, size, 16)).permute(0, 3, 1, 2))
    network.eval()
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    graph = Graph(network, kinds, size)
    bundle = Bundle("matrix", size, (0.5,) * 3, (0.5,) * 3, kinds, {head: {} for head in heads})
    session = onnxruntime.InferenceSession(to_onnx(graph, bundle, size=size))
    found = {"probability": 0.0, "circle_px": 0.0, "mask_mean": 0.0}
    for num in (1,) if quick else (1, 3, 8):
        for height, width in SHAPES:
            batch = pictures(height, width, num)
            with torch.no_grad():
                expected = graph(torch.from_numpy(batch))
            for kind, one, other in zip(
                kinds.values(), expected, session.run(graph.names, {"image": batch}), strict=True
            ):
                gap = np.abs(one.numpy() - other)
                circle, mask = isinstance(kind, Circle), isinstance(kind, Mask)
                key = "circle_px" if circle else "mask_mean" if mask else "probability"
                found[key] = max(found[key], float(gap.mean() if mask else gap.max()))
    return found


def main() -> None:
    """Print a table and, as the last line, every figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two backbones, one batch")
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    chosen = list(BACKBONES.items())[:2] if options.quick else list(BACKBONES.items())
    rows = []
    for name, (family, size) in chosen:
        start, refused = time.monotonic(), ""
        found: dict[str, float] = {}
        try:
            found = compare(name, size, HEADS, options.quick)
        except DermtlError as error:
            refused = str(error)
            try:
                found = compare(name, size, FLAT, options.quick)
            except DermtlError as again:
                refused = str(again)
        rows.append({"backbone": name, "family": family, "size": size, **found, "refused": refused})
        print(rows[-1], f"{time.monotonic() - start:.0f} s", flush=True)
    if options.write:
        lines = [
            "| backbone | family | px | probabilities | circle px | mask, mean | |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| `{row['backbone']}` | {row['family']} | {row['size']} | "
                + " | ".join(
                    f"{row[key]:.1e}" if key in row else "-" for key in ("probability", "circle_px", "mask_mean")
                )
                + f" | {row['refused']} |"
                for row in rows
            ),
        ]
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
