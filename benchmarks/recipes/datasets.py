"""The six development sets: where they lie, what is predicted of them, and how their pictures are read."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataSet:
    """One data set: its files, its heads and how it is trained.

    Attributes:
        name: The set's name, and that of its experiment in configs/.
        folder: Name of the data set's folder below the data folder.
        group: Column whose equal values stay on one side.
        heads: Target (label, circle, mask) to the name of the experiment's head.
        folds: Number of folds.
        size: Side of the network's input in pixels, as in the experiment.
        epochs: Epochs of the plain loop, timm and fastai: those of the experiment's last stage at the time of writing.
        weighted: Weigh the classes of the cross-entropy by the inverse of their frequency.
        upright: Pictures have a top, so vertical flips are no augmentation.
    """

    name: str
    folder: str
    group: str
    heads: dict[str, str]
    folds: int = 3
    size: int = 224
    epochs: int = 15
    batch_size: int = 16
    weighted: bool = False
    upright: bool = False


SETS = {
    item.name: item
    for item in (
        DataSet("ham10000", "ham10000_224", "lesion_id", {"label": "diagnosis"}, folds=5, epochs=12, weighted=True),
        DataSet("busi", "busi", "group", {"label": "diagnosis"}, upright=True),
        DataSet("isic_uda1", "isic_uda1", "group", {"label": "diagnosis"}),
        DataSet(
            "ph2",
            "ph2",
            "group",
            {"label": "diagnosis", "circle": "extent", "mask": "outline"},
            epochs=26,
            batch_size=8,
            weighted=True,
        ),
        DataSet("bccd", "bccd", "group", {"circle": "cell"}, epochs=25),
        DataSet("idrid", "idrid_codras", "group", {"circle": "disc"}, size=256, upright=True),
    )
}


@dataclass(frozen=True)
class Picture:
    """One picture and its truth; ``circle`` is (cx, cy, r) in its pixels, from the top-left corner."""

    image: str
    path: str
    group: str
    label: str
    width: int
    height: int
    circle: tuple[float, float, float] | None = None
    mask: str | None = None

    @staticmethod
    def of(values: dict[str, Any]) -> "Picture":
        """A picture from its JSON."""
        return Picture(**(values | {"circle": tuple(values["circle"]) if values["circle"] else None}))


def read_rows(dataset: DataSet, data: Path) -> list[dict[str, str]]:
    """The rows of a set's labels.csv."""
    with (data / dataset.folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_pictures(dataset: DataSet, data: Path) -> list[Picture]:
    """All pictures of a set, in the order of its table."""
    root = (data / dataset.folder).resolve()
    return [
        Picture(
            image=row["image"],
            path=str(root / row["image"]),
            group=row[dataset.group],
            label=row["label"],
            width=int(row["width"]),
            height=int(row["height"]),
            circle=(float(row["cx"]), float(row["cy"]), float(row["r"])) if "circle" in dataset.heads else None,
            mask=str(root / row["mask"]) if "mask" in dataset.heads else None,
        )
        for row in read_rows(dataset, data)
    ]
