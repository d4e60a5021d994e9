"""How alike copies and unlike pictures measure, and what finding copies costs, on real sets.

    python benchmarks/copies.py --data DATA [--quick]

DATA is what configs/ calls DERMTL_DATA. For each set: the likeness of copies made in eight ways from every tenth
picture and the share of them that is found, the highest likeness of pictures of different groups (0.6 or less reads
0.6), the pairs found, the share of test pictures with a relative in train under a random split, and CPU time. Then 200
drawn films of patients who look alike, in which there is no copy. Prints a table, and as its last line one JSON object
with every figure.
"""

import argparse
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from films import draw_film
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.duplicates.alignment import thumbnail
from dermtl.data.duplicates.near_duplicates import find_copies
from dermtl.data.duplicates.similarity import COPY, fingerprint, like_pairs, likeness
from dermtl.data.duplicates.verification import is_same_picture
from dermtl.data.manifest.groups import group_records, merge_groups
from dermtl.data.manifest.read import read_manifest

SETS = ("ham10000_224", "ph2", "isic_uda1", "busi", "bccd", "idrid_codras")
TURN = Image.Resampling.BICUBIC


def disguises(image: Image.Image, angle: float) -> Iterator[tuple[str, np.ndarray]]:
    """Copies as people make them, decoded again."""
    width, height = image.size
    turned = image.rotate(angle, TURN)
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    made = {
        "JPEG 40": (image, 40),
        "half size": (image.resize((width // 2, height // 2), TURN), 85),
        "1.7 times": (image.resize((width * 17 // 10, height * 17 // 10), TURN), 85),
        "mirrored": (image.transpose(flip), 85),
        "turned": (turned, 85),
        "turned, mirrored": (turned.transpose(flip), 85),
        "brighter": (image.point(lambda level: min(255, level * 115 // 100)), 85),
        "5% cropped": (image.crop((width // 40, height // 40, width - width // 40, height - height // 40)), 85),
    }
    for name, (picture, quality) in made.items():
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality)
        yield name, np.asarray(Image.open(content).convert("RGB"))


def measure(root: Path, step: int) -> dict[str, object]:
    """The figures of one set."""
    records = read_manifest(Data(root=root, manifest="labels.csv"))
    groups = group_records(records)
    began = time.process_time()
    prints = np.stack([fingerprint(record.path) for record in records])
    seconds = time.process_time() - began
    began = time.process_time()
    near = list(like_pairs(prints, least=0.6))
    pairing = time.process_time() - began
    unlike = max((likeness_ for i, j, likeness_ in near if groups[i] != groups[j]), default=0.6)
    generator = np.random.default_rng(0)
    copies: dict[str, list[float]] = {}
    recovered: list[bool] = []
    for index in range(0, len(records), step):
        picture = Image.open(records[index].path).convert("RGB")
        for name, pixels in disguises(picture, float(generator.uniform(1, 359))):
            other = fingerprint(pixels)
            alike = float(likeness(prints[index], other[None])[0])
            copies.setdefault(name, []).append(alike)
            if name != "5% cropped":
                same = is_same_picture(thumbnail(np.asarray(picture)), thumbnail(pixels), prints[index], other)
                recovered.append(alike >= COPY and same)
    found = find_copies(records)
    joined = merge_groups(groups, ((copy.one, copy.other) for copy in found if copy.is_sure))
    return {
        "pictures": len(records),
        "groups": len(set(groups)),
        "groups_with_copies": len(set(joined)),
        "copies": sum(copy.is_sure for copy in found),
        "to_review": sum(not copy.is_sure for copy in found),
        "unlike_highest": round(unlike, 3),
        "copies_lowest": {name: round(min(values), 3) for name, values in copies.items()},
        "recovered": round(float(np.mean(recovered)), 4),
        "ms_per_picture": round(1e3 * seconds / len(records), 2),
        "pairing_s": round(pairing, 2),
        "random_split_leak": round(random_leak(joined, generator), 3),
    }


def films(num: int) -> dict[str, object]:
    """How many pairs of drawn look-alike films have fingerprints of copies, and how many are taken for copies."""
    pictures = [draw_film(seed) for seed in range(num)]
    prints, grey = np.stack([fingerprint(picture) for picture in pictures]), [thumbnail(p) for p in pictures]
    alike = list(like_pairs(prints, least=COPY))
    began = time.process_time()
    false = sum(is_same_picture(grey[i], grey[j], prints[i], prints[j]) for i, j, _ in alike)
    seconds = time.process_time() - began
    return {
        "films": num,
        "pairs": num * (num - 1) // 2,
        "alike": len(alike),
        "false_copies": false,
        "ms_per_pair": round(1e3 * seconds / max(1, len(alike)), 1),
    }


def random_leak(groups: list[str], generator: np.random.Generator, repeats: int = 20) -> float:
    """Share of test pictures with a relative in train when 15% of pictures are drawn at random."""
    names = np.unique(groups, return_inverse=True)[1]
    shares = []
    for _ in range(repeats):
        order = generator.permutation(len(names))
        cut = round(0.15 * len(names))
        shares.append(np.isin(names[order[:cut]], names[order[cut:]]).mean())
    return float(np.mean(shares))


def main() -> None:
    """Measure every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="copies of few pictures only")
    arguments = parser.parse_args()
    results = {}
    for name in SETS:
        found = results[name] = measure(arguments.data / name, 100 if arguments.quick else 10)
        lowest = min(value for kind, value in found["copies_lowest"].items() if kind != "5% cropped")
        print(
            f"{name:14} {found['pictures']:5} pictures {found['groups']:5} groups, copies {found['copies']:3} "
            f"({found['to_review']} to review), unlike at most {found['unlike_highest']:.3f}, copies at least "
            f"{lowest:.3f}, {found['recovered']:.1%} of copies found, "
            f"random split leaks {found['random_split_leak']:.1%}, {found['ms_per_picture']} ms",
            flush=True,
        )
    results["films"] = films(40 if arguments.quick else 200)
    print("films: {films}, pairs {pairs}, alike {alike}, false copies {false_copies}".format_map(results["films"]))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
