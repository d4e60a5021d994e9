"""What decoding large JPEG files at a part of their size moves in a model's outputs, and what it saves.

Each picture is a photograph made large (or a large original), with a camera's noise, stored as JPEG at quality 92. The
same file is decoded whole and with 2, 4, 8, ... pixels kept a pixel of the network's square at least. Outputs are
compared with those of the whole picture, letterboxed by the host; ``graph`` is the raw picture through the graph alone.
Circles are in pixels of the picture, masks are compared in the network's square.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from decode import store
from PIL import Image

import dermtl
from dermtl.arrays import Array
from dermtl.imaging import decode
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Circle, Mask
from dermtl.runtime.bundle import INPUT

WHOLE = 10**6


def enlarged(path: Path, width: int) -> bytes:
    """A photograph as a large JPEG."""
    image = Image.open(path).convert("RGB")
    shape = (width, round(image.height * width / image.width))
    return store(image.resize(shape, Image.Resampling.BICUBIC), 2)


def square(data: bytes, size: int, spare: int) -> tuple[Array, Letterbox, int, float]:
    """Decoded and letterboxed, with the scale of decoding and CPU seconds."""
    decode._SPARE = spare  # type: ignore[attr-defined]
    start = time.process_time()
    picture = decode.read_image_for(data, size)
    letterbox = Letterbox.of(picture, size)
    pixels = letterbox.apply(picture)
    return pixels, letterbox, picture.scale, time.process_time() - start


def moved(model: dermtl.Model, one: dict[str, Array], other: dict[str, Array], side: int) -> dict[str, float]:
    """Differences of two answers in the network's frame: probability, circle in source pixels, Dice of masks."""
    found = {}
    for name, kind in model.kinds.items():
        if isinstance(kind, Category):
            found["probability"] = float(np.abs(one[name] - other[name]).max())
        elif isinstance(kind, Circle):
            found["circle_px"] = float(np.abs(one[name] - other[name]).max()) * side / model.bundle.size
        elif isinstance(kind, Mask):
            a, b = kind.decide(one[name]) > 0, kind.decide(other[name]) > 0
            found["dice"] = float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))
    return found


def main() -> None:
    """Print a table and, as the last line, every figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, help="folder of photographs")
    parser.add_argument("--width", type=int, default=3000)
    parser.add_argument("--num", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="two pictures")
    parser.add_argument("--graph", action="store_true", help="the raw picture through the graph, too: much memory")
    options = parser.parse_args()
    model = dermtl.load(options.model, threads=1)
    size = model.bundle.size
    files = sorted(options.images.glob("*.jpg"))
    files = files[:: max(1, len(files) // options.num)][: 2 if options.quick else options.num]
    rows: dict[str, list[dict[str, float]]] = {}
    for file in files:
        data = enlarged(file, options.width)
        reference, letterbox, _, whole_s = square(data, size, WHOLE)
        expected = model.run([model.prepare(reference)])[0]
        for spare in (2, 4, 8, 16):
            pixels, _, scale, seconds = square(data, size, spare)
            row = {"scale": scale, "faster": whole_s / seconds}
            row["levels"] = float(np.abs(pixels.astype(int) - reference).mean())
            got = model.run([model.prepare(pixels)])[0]
            rows.setdefault(f"spare {spare}", []).append(row | moved(model, got, expected, letterbox.side))
        image = read_image(data)
        again = Letterbox.of(image, size).apply(read_image(store(Image.fromarray(image), 2)))
        got = model.run([model.prepare(again)])[0]
        rows.setdefault("stored again, other noise", []).append(moved(model, got, expected, letterbox.side))
        if options.graph:
            names = list(model.kinds)
            raw = dict(zip(names, model.session.run(names, {INPUT: image[None]}), strict=True))
            host = model.restore(expected, letterbox).values
            found = {}
            for name, kind in model.kinds.items():
                if isinstance(kind, Category):
                    found["probability"] = float(np.abs(raw[name][0] - host[name]).max())
                elif isinstance(kind, Circle):
                    found["circle_px"] = float(np.abs(raw[name][0] - host[name]).max())
                elif isinstance(kind, Mask):
                    a, b = kind.decide(raw[name][0]) > 0, kind.decide(host[name]) > 0
                    found["dice"] = float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))
            rows.setdefault("graph", []).append(found)
    figures = {}
    for variant, found in rows.items():
        keys = dict.fromkeys(key for row in found for key in row)
        columns = {key: np.array([row[key] for row in found]) for key in keys}
        worst = {key: values.min() if key in ("dice", "faster") else values.max() for key, values in columns.items()}
        figures[variant] = {
            key: {"mean": float(values.mean()), "worst": float(worst[key])} for key, values in columns.items()
        }
        print(variant.ljust(26), *(f"{key} {v['mean']:.4g} ({v['worst']:.4g})" for key, v in figures[variant].items()))
    print(json.dumps({"model": options.model.name, "width": options.width, "num": len(files), "rows": figures}))


if __name__ == "__main__":
    main()
