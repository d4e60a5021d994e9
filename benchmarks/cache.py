"""Reading an epoch from the cache of letterboxed pictures against decoding it again.

    python benchmarks/cache.py [--num 200] [--size 224] [--quick]

Draws 600x450 JPEG files, then reads them in alternating rounds: decoded and letterboxed, from memory, from disk. Prints
the median CPU time a picture and the ratios, and as its last line one JSON object.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.data.synthetic.dataset import synthesise
from dermtl.files.table import write_table
from dermtl.imaging.decode import read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.training.data.picture_cache import open_cache


def draw(folder: Path, num: int) -> list[str]:
    """Lesions, enlarged to 600x450 with a little noise, as JPEG quality 92; their names."""
    synthesise(folder / "small", num=num)
    generator = np.random.default_rng(0)
    names = []
    for path in sorted((folder / "small" / "images").iterdir()):
        pixels = np.asarray(Image.open(path).resize((600, 450), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(pixels + generator.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(noisy).save(content, "JPEG", quality=92)
        names.append(path.name)
        (folder / path.name).write_bytes(content.getvalue())
    return names


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--quick", action="store_true", help="one round of 20 pictures")
    arguments = parser.parse_args()
    num, rounds = (20, 1) if arguments.quick else (arguments.num, 7)
    size = arguments.size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = draw(folder, num)
        kilobytes = sum((folder / file).stat().st_size for file in names) / num / 1e3
        write_table(folder / "manifest.csv", ("image",), [(file,) for file in names])
        records = read_manifest(Data(root=folder))
        ram, disk = open_cache("ram", records, size), open_cache("disk", records, size, folder / "cache")
        assert ram is not None
        assert disk is not None

        def decode(index: int) -> None:
            source = read_image_for(records[index].path, size)
            Letterbox.of(source, size).apply(source)

        for index in range(num):
            source = read_image_for(records[index].path, size)
            boxed = Letterbox.of(source, size).apply(source)
            ram.put(index, boxed, (450, 600))
            disk.put(index, boxed, (450, 600))
        ways: dict[str, Callable[[int], object]] = {"decode": decode, "ram": ram.get, "disk": disk.get}
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, read in ways.items():
                began = time.process_time()
                for index in range(num):
                    read(index)
                spent[way].append((time.process_time() - began) / num * 1e3)
    figures = {f"{way}_ms": statistics.median(values) for way, values in spent.items()}
    figures |= {f"{way}_ratio": figures["decode_ms"] / figures[f"{way}_ms"] for way in ("ram", "disk")}
    figures["jpeg_kb"] = kilobytes
    for key, value in figures.items():
        print(f"{key:12} {value:8.3f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
