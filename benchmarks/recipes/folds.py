"""Which picture trains, validates and tests in which fold: dealt once by scikit-learn, the same for every method."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.recipes.datasets import DataSet, Picture

VALIDATION_PARTS = 5  # a fifth of what a fold does not test validates


def assign_groups(pictures: list[Picture], num: int) -> list[dict[str, str]]:
    """The side of every picture in every fold.

    Returns:
        For each fold, image to train, val or test. Every picture tests once; groups stay on one side; stratified.
    """
    labels = np.array([picture.label for picture in pictures])
    groups = np.array([picture.group for picture in pictures])
    outer = StratifiedGroupKFold(num, shuffle=True, random_state=0)
    inner = StratifiedGroupKFold(VALIDATION_PARTS, shuffle=True, random_state=0)
    dealt = []
    for rest, test in outer.split(labels, labels, groups):
        train, val = next(inner.split(labels[rest], labels[rest], groups[rest]))
        side = dict.fromkeys(test, "test") | dict.fromkeys(rest[val], "val") | dict.fromkeys(rest[train], "train")
        dealt.append({picture.image: side[index] for index, picture in enumerate(pictures)})
    return dealt


def load(dataset: DataSet, pictures: list[Picture], out: Path) -> list[dict[str, str]]:
    """The sides of a set as ``OUT/folds/<set>.csv`` has them; dealt and written if there is no such file.

    Raises:
        SystemExit: The file lists other pictures.
    """
    path = out / "folds" / f"{dataset.name}.csv"
    names = [f"fold_{fold}" for fold in range(dataset.folds)]
    if not path.exists():
        dealt = assign_groups(pictures, dataset.folds)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "group", "label", *names))
            for picture in pictures:
                sides = (fold[picture.image] for fold in dealt)
                writer.writerow((picture.image, picture.group, picture.label, *sides))
        partial.replace(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if [row["image"] for row in rows] != [picture.image for picture in pictures]:
        raise SystemExit(f"{path} was made of other pictures; take another --out")
    return [{row["image"]: row[name] for row in rows} for name in names]


def few(pictures: list[Picture], sides: dict[str, str], num: int, seed: int) -> dict[str, str]:
    """Keep ``num`` pictures a class of those that train or validate, drawn by group; a fifth of them validates.

    A class with fewer keeps all. What is left out has no side. A method that needs no validation may use all ``num``.
    """
    chosen = {image: side for image, side in sides.items() if side == "test"}
    generator = np.random.default_rng([seed, num])
    by_group: dict[tuple[str, str], list[str]] = defaultdict(list)
    for picture in pictures:
        if sides[picture.image] != "test":
            by_group[picture.label, picture.group].append(picture.image)
    for label in sorted({label for label, _ in by_group}):
        groups = [images for (name, _), images in sorted(by_group.items()) if name == label]
        drawn: list[str] = []
        for index in generator.permutation(len(groups)):
            images = groups[index][: num - len(drawn)]
            side = "val" if len(drawn) < num // VALIDATION_PARTS else "train"
            drawn += images
            chosen |= dict.fromkeys(images, side)
    return chosen
