"""The linear probe: pooled features of the frozen network, then scikit-learn. No validation picture is used.

Logistic regression for classes, ridge regression for circles; their penalty is chosen within the training pictures. An
outline has no probe.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.recipes.datasets import Picture
from benchmarks.recipes.network import classifier, outputs
from benchmarks.recipes.pictures import load, out_of_square
from benchmarks.recipes.plain import numbers
from benchmarks.recipes.store import Predictions
from benchmarks.recipes.task import Task, from_argument, predicting

PENALTIES = np.logspace(-5, 0, 6)  # C of the logistic regression
ALPHAS = np.logspace(-1, 5, 13)  # of the ridge regression


def logistic(task: Task, features: NDArray[np.float32], pictures: list[Picture]) -> GridSearchCV:
    """A logistic regression with its C by balanced accuracy over three grouped folds of the training pictures."""
    weight = "balanced" if task.weighted else None
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight=weight))
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=task.seed)
    grid = {"logisticregression__C": PENALTIES}
    search = GridSearchCV(model, grid, scoring="balanced_accuracy", cv=folds)
    return search.fit(features, [p.label for p in pictures], groups=[p.group for p in pictures])


def main() -> None:
    """Fit and predict."""
    torch.set_num_threads(1)
    task, folder = from_argument()
    backbone = classifier(task.weights, 0)
    pictures = task.side("train")
    squares = [load(picture, task.size) for picture in pictures]
    features = outputs(backbone, [square.image for square in squares]).numpy()
    by_label = logistic(task, features, pictures) if "label" in task.targets else None
    by_circle = None
    if "circle" in task.targets:
        by_circle = make_pipeline(StandardScaler(), RidgeCV(ALPHAS, alpha_per_target=True))
        by_circle.fit(features, np.stack([numbers(square).numpy() for square in squares]))
    found = Predictions.none()
    with predicting(folder):
        tested = task.side("test")
        seen = outputs(backbone, [load(picture, task.size).image for picture in tested]).numpy()
        if by_label:
            for picture, row in zip(tested, by_label.predict_proba(seen), strict=True):
                found.labels[picture.image] = dict(zip(by_label.classes_.tolist(), row.tolist(), strict=True))
        if by_circle:
            for picture, (cx, cy, log_r) in zip(tested, by_circle.predict(seen).tolist(), strict=True):
                circle = (cx * task.size, cy * task.size, float(np.exp(log_r)) * task.size)
                found.circles[picture.image] = out_of_square(picture, circle, task.size)
    found.write(folder)


if __name__ == "__main__":
    main()
