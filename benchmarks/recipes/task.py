"""What a method is given, as a file: a method runs as a process of its own, so that its CPU time can be measured."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.recipes.datasets import Picture

BACKBONE = "mobilenetv2_100"
MEAN = STD = (0.5, 0.5, 0.5)  # of the weights file


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        weights: The pretrained weights, a safetensors file with timm's names.
        targets: Truths to predict: label, circle, mask.
        classes: Names of the classes, sorted.
        sides: Image to train, val or test.
    """

    dataset: str
    weights: str
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    seed: int
    size: int
    epochs: int
    batch_size: int
    weighted: bool
    upright: bool
    pictures: list[Picture]
    sides: dict[str, str]

    def side(self, *names: str) -> list[Picture]:
        """The pictures that train, validate or test."""
        return [picture for picture in self.pictures if self.sides.get(picture.image) in names]

    def class_weights(self, pictures: list[Picture]) -> list[float]:
        """Weights n / (K n_k) of the K classes; ones if the set's classes are not weighted."""
        counts = Counter(picture.label for picture in pictures)
        if not self.weighted:
            return [1.0] * len(self.classes)
        return [len(pictures) / (len(self.classes) * max(counts[name], 1)) for name in self.classes]

    def write(self, folder: Path) -> None:
        """Write ``task.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "task.json").write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(folder: Path) -> "Task":
        """Read ``task.json``."""
        values = json.loads((folder / "task.json").read_text())
        values["pictures"] = [Picture.of(item) for item in values["pictures"]]
        return Task(**(values | {name: tuple(values[name]) for name in ("targets", "classes")}))


def from_argument() -> tuple[Task, Path]:
    """The task whose folder is the first argument of the command line, and that folder."""
    folder = Path(sys.argv[1])
    return Task.read(folder), folder


@contextmanager
def predicting(folder: Path) -> Iterator[None]:
    """Note the CPU seconds of predicting the test pictures, which do not count as training."""
    path = folder / "predicting_s.txt"
    before = time.process_time()
    yield
    spent = float(path.read_text()) if path.exists() else 0.0
    path.write_text(f"{spent + time.process_time() - before:.2f}")
