"""The plain loop: a pretrained network, a new last layer, AdamW, cosine, the last weights. A network for each target.

It trains on the pictures that train; those that validate are not used, unless ``--val`` adds them to the training.
"""

import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.recipes.network import Outline, classifier, outputs, tensor
from benchmarks.recipes.pictures import Square, augment, load, mask_out_of_square, out_of_square
from benchmarks.recipes.store import Predictions
from benchmarks.recipes.task import Task, from_argument, predicting

LR = 5e-4
WEIGHT_DECAY = 0.05
Truth = Callable[[int, Square], Tensor]  # of a picture by its index and its augmented square
Loss = Callable[[Tensor, Tensor], Tensor]


def train(model: nn.Module, squares: list[Square], truth: Truth, loss: Loss, task: Task) -> nn.Module:
    """The loop itself."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    num_batches = max(1, len(squares) // task.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, task.epochs * num_batches)
    draw = random.Random(task.seed)
    model.train().to(memory_format=torch.channels_last)  # a third off on a CPU, as PyTorch's tuning guide has it
    for _ in range(task.epochs):
        for batch in torch.randperm(len(squares)).split(task.batch_size)[:num_batches]:
            seen = [augment(squares[index], draw, upright=task.upright) for index in batch]
            expected = torch.stack([truth(int(index), square) for index, square in zip(batch, seen, strict=True)])
            optimiser.zero_grad()
            loss(model(torch.stack([tensor(square.image) for square in seen])), expected).backward()
            optimiser.step()
            schedule.step()
    return model


def fit(target: str, task: Task, squares: list[Square], labels: list[str], class_weights: Tensor) -> nn.Module:
    """Train for one target."""
    torch.manual_seed(task.seed)
    if target == "mask":
        return train(
            Outline(task.weights), squares, lambda _, square: mask_of(square), F.binary_cross_entropy_with_logits, task
        )
    if target == "circle":
        mean, std = spread(squares)
        model = classifier(task.weights, 3)
        model = train(model, squares, lambda _, square: (numbers(square) - mean) / std, F.smooth_l1_loss, task)
        return nn.Sequential(model, Unscale(mean, std))
    model = classifier(task.weights, len(task.classes))
    loss = nn.CrossEntropyLoss(class_weights)
    return train(model, squares, lambda index, _: torch.tensor(task.classes.index(labels[index])), loss, task)


class Unscale(nn.Module):
    """Back from standard deviations around the training mean to (cx, cy, log r)."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, value: Tensor) -> Tensor:
        """Elementwise, on the last axis."""
        return value * self.std + self.mean


def numbers(square: Square) -> Tensor:
    """A circle as (cx, cy, log r), in sides of the square."""
    cx, cy, r = (value / square.image.width for value in square.circle or (math.nan,) * 3)
    return torch.tensor((cx, cy, math.log(r)))


def spread(squares: list[Square]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the circles' numbers."""
    values = torch.stack([numbers(square) for square in squares])
    return values.mean(0), values.std(0)


def mask_of(square: Square) -> Tensor:
    """The outline as 0 to 1."""
    return torch.from_numpy(np.asarray(square.mask, np.float32) / 255)


def predict(model: nn.Module, target: str, task: Task, found: Predictions) -> None:
    """Add the answers for the test pictures."""
    pictures = task.side("test")
    given = outputs(model, [load(picture, task.size).image for picture in pictures])
    for picture, value in zip(pictures, given, strict=True):
        if target == "mask":
            found.masks[picture.image] = mask_out_of_square(picture, value.sigmoid().numpy(), task.size)
        elif target == "circle":
            cx, cy, log_r = value.tolist()
            circle = (cx * task.size, cy * task.size, math.exp(log_r) * task.size)
            found.circles[picture.image] = out_of_square(picture, circle, task.size)
        else:
            found.labels[picture.image] = dict(zip(task.classes, value.double().softmax(0).tolist(), strict=True))


def run(task: Task, folder: Path, sides: tuple[str, ...]) -> None:
    """Train for every target and predict the test pictures."""
    torch.set_num_threads(1)
    pictures = task.side(*sides)
    squares = [load(picture, task.size) for picture in pictures]
    labels = [picture.label for picture in pictures]
    found = Predictions.none()
    for target in task.targets:
        model = fit(target, task, squares, labels, torch.tensor(task.class_weights(pictures)))
        with predicting(folder):
            predict(model, target, task, found)
    found.write(folder)


if __name__ == "__main__":
    run(*from_argument(), ("train", "val") if "--val" in sys.argv else ("train",))
