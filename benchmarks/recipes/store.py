"""Results on disk: a folder for each set, method, fold and seed, written under another name and renamed when whole.

OUT/results/<size>px[-<labels>]/<set>/<method>/fold<f>-seed<s>/
    result.json       what was run and what it cost
    predictions.csv   a row for each test picture: image, p:<class>..., cx, cy, r
    masks/*.png       0 and 255, at the picture's own size; named by mask_name
"""

import csv
import json
import os
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Key:
    """Names one result."""

    dataset: str
    method: str
    fold: int
    seed: int
    size: int
    labels: int | None = None

    def folder(self, out: Path) -> Path:
        """Where the result lies or will lie."""
        few = f"-{self.labels}" if self.labels else ""
        method = self.method.replace(":", "-")
        return out / "results" / f"{self.size}px{few}" / self.dataset / method / f"fold{self.fold}-seed{self.seed}"


@dataclass
class Predictions:
    """What a method answers for each test picture; a table and masks on disk.

    Attributes:
        labels: Image to class to probability.
        circles: Image to (cx, cy, r) in pixels of the picture.
        masks: Image to the predicted outline, bool [H, W], or to the file that holds it.
    """

    labels: dict[str, dict[str, float]]
    circles: dict[str, tuple[float, float, float]]
    masks: dict[str, Any]

    @staticmethod
    def none() -> "Predictions":
        """Nothing yet."""
        return Predictions({}, {}, {})

    def write(self, folder: Path) -> None:
        """Write the table and the masks."""
        rows = []
        for image in dict.fromkeys([*self.labels, *self.circles, *self.masks]):
            classes = {f"p:{name}": value for name, value in self.labels.get(image, {}).items()}
            circle = dict(zip(("cx", "cy", "r"), self.circles.get(image, ()), strict=False))
            rows.append({"image": image, **classes, **circle})
        with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for image, mask in self.masks.items():
            path = folder / "masks" / mask_name(image)
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.asarray(mask, np.uint8) * 255).save(path)

    @staticmethod
    def read(folder: Path) -> "Predictions":
        """Read what ``write`` wrote; masks stay files."""
        found = Predictions.none()
        with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                image = row["image"]
                classes = {name[2:]: float(value) for name, value in row.items() if name.startswith("p:")}
                if classes:
                    found.labels[image] = classes
                if "r" in row:
                    found.circles[image] = (float(row["cx"]), float(row["cy"]), float(row["r"]))
                if (path := folder / "masks" / mask_name(image)).exists():
                    found.masks[image] = path
        return found


def mask_name(image: str) -> str:
    """The file name of a picture's mask."""
    return image.replace("/", "__") + ".png"


def keep(key: Key, out: Path, work: Path, facts: dict[str, Any]) -> None:
    """Make a result of the predictions in ``work``: complete beside its place, then renamed."""
    target = key.folder(out)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shutil.copy(work / "predictions.csv", partial)
    if (work / "masks").exists():
        shutil.copytree(work / "masks", partial / "masks")
    (partial / "result.json").write_text(json.dumps(asdict(key) | facts, indent=1) + "\n")
    partial.replace(target)


def found(out: Path, dataset: str, size: int, labels: int | None) -> list[Key]:
    """All results of a set that are there, sorted."""
    folder = Key(dataset, "any", 0, 0, size, labels).folder(out).parents[1]
    stored = [json.loads(path.read_text()) for path in sorted(folder.glob("*/fold*-seed*/result.json"))]
    return [Key(**{field.name: values[field.name] for field in fields(Key)}) for values in stored]


def read(key: Key, out: Path) -> dict[str, Any] | None:
    """The facts of a result, or None if it is not there."""
    path = key.folder(out) / "result.json"
    return json.loads(path.read_text()) if path.exists() else None
