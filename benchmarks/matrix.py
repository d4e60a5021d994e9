"""Every built-in head on timm backbones of all families: exported, and compared with torch.

Untrained networks whose BatchNorms saw a batch. For each backbone all heads are exported as one file; torch and ONNX
Runtime answer batches of 1, 3 and 8 pictures of three sizes. Largest differences: of probabilities and masks, of
numbers relative to their spread in training, of circles in pixels; and whether the best class was the same. ``--write``
makes docs/export_matrix.md.
"""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import timm
import torch

from dermtl.config.experiment import Experiment
from dermtl.config.source import Source
from dermtl.errors import DermtlError
from dermtl.export.graph import Graph
from dermtl.export.onnx_file import to_onnx
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Circle, Mask, Number, Tags
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
STD = 15.0  # years
HEADS = {
    "diagnosis": {"type": "classification", "classes": ["keratosis", "melanoma", "nevus"]},
    "signs": {"type": "tags", "labels": ["network", "veil"]},
    "extent": {"type": "circle"},
    "age": {"type": "number", "names": ["age"], "mean": [50.0], "std": [STD]},
    "outline": {"type": "segmentation", "classes": ["lesion"], "channels": [8, 8]},
}
FLAT = {name: head for name, head in HEADS.items() if name != "outline"}
COLUMNS: dict[str, Any] = {"probability": (Category, Tags), "number": Number, "circle_px": Circle, "mask": Mask}
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
        seen = [picture for height, width in SHAPES for picture in pictures(height, width, 8)]
        boxed = np.stack([Letterbox.of(picture, size).apply(picture) for picture in seen])
        network(torch.from_numpy(boxed).permute(0, 3, 1, 2))
    network.eval()
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    graph = Graph(network, kinds, size)
    bundle = Bundle("matrix", size, (0.5,) * 3, (0.5,) * 3, kinds, {head: {} for head in heads})
    session = onnxruntime.InferenceSession(to_onnx(graph, bundle, size=size))
    found: dict[str, float] = {}
    same = True
    for num in (1,) if quick else (1, 3, 8):
        for height, width in SHAPES:
            batch = pictures(height, width, num)
            with torch.no_grad():
                expected = graph(torch.from_numpy(batch))
            for kind, one, other in zip(
                kinds.values(), expected, session.run(graph.names, {"image": batch}), strict=True
            ):
                gap = float(np.abs(one.numpy() - other).max())
                if isinstance(kind, Category):
                    same &= bool((one.numpy().argmax(axis=1) == other.argmax(axis=1)).all())
                if isinstance(kind, Number):
                    gap /= STD
                key = next((title for title, each in COLUMNS.items() if isinstance(kind, each)), "probability")
                found[key] = max(found.get(key, 0.0), gap)
    found["same"] = same
    return found


def page(rows: list[dict[str, Any]]) -> str:
    """The table as a page."""
    lines = [
        "# Which backbones export",
        "",
        "Written by `benchmarks/matrix.py`: every built-in head on one untrained backbone, exported as one file; torch",
        f"{torch.__version__} with timm {timm.__version__} against ONNX Runtime {onnxruntime.__version__} on batches",
        "of 1, 3 and 8 raw pictures of three sizes. Largest differences; numbers as a share of their spread.",
        "",
        "| backbone | family | px | best class | probabilities | masks | numbers | circles, px | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = (f"{row[key]:.0e}" if key in row else "-" for key in ("probability", "mask", "number", "circle_px"))
        same = {True: "same", False: "DIFFERS", None: "-"}[row.get("same")]
        cells = (f"`{row['backbone']}`", row["family"], str(row["size"]), same, *figures, row["refused"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


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
        options.write.write_text(page(rows), encoding="utf-8")
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
