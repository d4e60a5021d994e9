"""fastai's `vision_learner(...).fine_tune(...)` as its documentation has it. Runs in an environment of its own.

One epoch with the backbone frozen, then the task's epochs; default rates, head and augmentation; class weights if the
set has them; the last weights. fastai validates after every epoch and uses the result for nothing.
"""

import random

import numpy as np
import pandas
import torch
from fastai.vision.all import (
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Resize,
    ResizeMethod,
    aug_transforms,
    vision_learner,
)

from benchmarks.recipes.store import Predictions
from benchmarks.recipes.task import BACKBONE, MEAN, STD, from_argument, predicting


def main() -> None:
    """Train and predict."""
    torch.set_num_threads(1)
    task, folder = from_argument()
    random.seed(task.seed)
    np.random.seed(task.seed)  # fastai draws from the global state
    torch.manual_seed(task.seed)
    pictures = task.side("train", "val")
    table = pandas.DataFrame(
        {
            "path": [picture.path for picture in pictures],
            "label": [picture.label for picture in pictures],
            "is_valid": [task.sides[picture.image] == "val" for picture in pictures],
        }
    )
    loaders = ImageDataLoaders.from_df(
        table,
        path="/",
        label_col="label",
        valid_col="is_valid",
        item_tfms=Resize(task.size, ResizeMethod.Squish),
        batch_tfms=aug_transforms(flip_vert=not task.upright, size=task.size),
        bs=task.batch_size,
        num_workers=0,
    )
    weights = dict(zip(task.classes, task.class_weights(task.side("train")), strict=True))
    learner = vision_learner(
        loaders,
        BACKBONE,
        loss_func=CrossEntropyLossFlat(weight=torch.tensor([weights[name] for name in loaders.vocab])),
        pretrained_cfg_overlay={"file": task.weights, "mean": MEAN, "std": STD},
    )
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(task.epochs)
    with predicting(folder), learner.no_bar():
        tested = task.side("test")
        loader = loaders.test_dl([picture.path for picture in tested], num_workers=0)
        probabilities, _ = learner.get_preds(dl=loader)
    found = Predictions.none()
    for picture, row in zip(tested, probabilities.tolist(), strict=True):
        found.labels[picture.image] = dict(zip(loaders.vocab, row, strict=True))
    found.write(folder)


if __name__ == "__main__":
    main()
