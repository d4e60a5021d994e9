"""Decoding large JPEG files only as far as the letterbox needs, against Pillow's whole decoding.

The reference decodes every pixel and resizes once, antialiased. Pictures of 3000x2000 and 6000x4000 pixels are made
from photographs: enlarged as one, and side by side at their own scale, which is sharper than any camera's picture of
that size. A little noise is added; quality 92, with and without chroma subsampling.
"""

import argparse
import io
import json
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.imaging.decode import read_image, read_image_for
from dermtl.imaging.letterbox import Letterbox

SIZE = 224
SHAPES = ((3000, 2000), (6000, 4000))
CHROMA = ((2, "4:2:0"), (0, "4:4:4"))


def whole(data: bytes) -> Array:
    """The reference: every pixel."""
    pixels = read_image(data)
    return Letterbox.of(pixels, SIZE).apply(pixels)


def reduced(data: bytes) -> Array:
    """As few pixels as the letterbox needs."""
    pixels = read_image_for(data, SIZE)
    return Letterbox.of(pixels, SIZE).apply(pixels)


def cpu_s(job: Callable[[bytes], Array], data: bytes, repeats: int) -> float:
    """CPU seconds of the fastest run."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        job(data)
        seconds.append(time.process_time() - start)
    return min(seconds)


def photographs(folder: Path | None) -> list[Image.Image]:
    """The largest photographs at hand; drawn lesions where there are none."""
    if folder is not None:
        files = sorted(folder.glob("*/original/*.jpg"), key=lambda path: -path.stat().st_size)
        return [Image.open(path).convert("RGB") for path in files[:4]]
    from numpy.random import default_rng

    from dermtl.data.synthetic.case import draw_lesion, draw_patient
    from dermtl.data.synthetic.render import render

    rng = default_rng(0)
    return [Image.fromarray(render(draw_patient(rng), draw_lesion(rng), rng)[0]) for _ in range(4)]


def enlarge(images: list[Image.Image], index: int, shape: tuple[int, int]) -> Image.Image:
    """One photograph, made as large."""
    return images[index].resize(shape, Image.Resampling.BICUBIC)


def mosaic(images: list[Image.Image], index: int, shape: tuple[int, int]) -> Image.Image:
    """Photographs side by side at their own scale."""
    canvas = Image.new("RGB", shape)
    top = 0
    while top < shape[1]:
        left, height = 0, shape[1]
        while left < shape[0]:
            image = images[index % len(images)]
            canvas.paste(image, (left, top))
            left, height, index = left + image.width, min(height, image.height), index + 1
        top += height
    return canvas


def store(image: Image.Image, subsampling: int) -> bytes:
    """With a camera's noise, as JPEG."""
    large = np.asarray(image, np.int16)
    noise = np.random.default_rng(0).integers(-4, 5, large.shape, np.int16)
    buffer = io.BytesIO()
    pixels = np.clip(large + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling=subsampling)
    return buffer.getvalue()


def main() -> None:
    """Print a table and, as the last line, every figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one picture a kind, one run")
    parser.add_argument("--data", type=Path, help="folder of data sets with original/ pictures")
    options = parser.parse_args()
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = options.data or (default if default.is_dir() else None)
    images = photographs(folder)
    num, repeats = (1, 1) if options.quick else (3, 3)
    rows = []
    print("content   pixels     chroma  scale  whole ms  reduced ms  ratio  mean difference  largest")
    for (width, height), (subsampling, chroma), make in product(SHAPES, CHROMA, (enlarge, mosaic)):
        whole_s = reduced_s = 0.0
        differences, scale = [], 1
        for index in range(num):
            data = store(make(images, index, (width, height)), subsampling)
            whole_s += cpu_s(whole, data, repeats)
            reduced_s += cpu_s(reduced, data, repeats)
            differences.append(float(np.abs(whole(data).astype(int) - reduced(data)).mean()))
            scale = read_image_for(data, SIZE).scale
        row = {
            "content": make.__name__,
            "width": width,
            "height": height,
            "chroma": chroma,
            "scale": scale,
            "whole_ms": 1000 * whole_s / num,
            "reduced_ms": 1000 * reduced_s / num,
            "ratio": whole_s / reduced_s,
            "mean_difference_levels": float(np.mean(differences)),
            "largest_difference_levels": max(differences),
        }
        rows.append(row)
        print(
            f"{make.__name__:8}  {width}x{height}  {chroma}   {scale:5}  {row['whole_ms']:8.1f}  "
            f"{row['reduced_ms']:10.1f}  {row['ratio']:5.2f}  {row['mean_difference_levels']:15.3f}  "
            f"{row['largest_difference_levels']:7.3f}",
            flush=True,
        )
    print(json.dumps({"size": SIZE, "photographs": folder is not None, "num_images": num, "rows": rows}))


if __name__ == "__main__":
    main()
