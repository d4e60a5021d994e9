"""timm's own train.py, which its wheel lacks: class folders of links for it to read, its best checkpoint's answers.

AdamW with the plain loop's rates, else the script's defaults: random resized crops, colour jitter, label smoothing, no
class weights. The script picks the epoch by accuracy on the pictures that validate.
"""

import sys
from pathlib import Path

import timm
import torch
from PIL import Image

from benchmarks.recipes.plain import LR, WEIGHT_DECAY
from benchmarks.recipes.store import Predictions
from benchmarks.recipes.task import BACKBONE, MEAN, STD, Task, from_argument, predicting


def command(task: Task, folder: Path, script: str) -> list[str]:
    """Lay out the class folders; the command that trains."""
    for side in ("train", "val"):
        for name in task.classes:
            (folder / "tree" / side / name).mkdir(parents=True)
        for picture in task.side(side):
            (folder / "tree" / side / picture.label / picture.image.replace("/", "__")).symlink_to(picture.path)
    numbers = [str(value) for value in MEAN]
    options = {
        "--data-dir": [str(folder / "tree")],
        "--val-split": ["val"],
        "--model": [BACKBONE],
        "--pretrained-path": [task.weights],
        "--num-classes": [str(len(task.classes))],
        "--img-size": [str(task.size)],
        "--mean": numbers,
        "--std": numbers,
        "--device": ["cpu"],
        "--batch-size": [str(task.batch_size)],
        "--epochs": [str(task.epochs)],
        "--opt": ["adamw"],
        "--lr": [str(LR)],
        "--weight-decay": [str(WEIGHT_DECAY)],
        "--warmup-epochs": ["1"],
        "--seed": [str(task.seed)],
        "--workers": ["1"],
        "--output": [str(folder)],
        "--experiment": ["timm"],
        "--checkpoint-hist": ["1"],
    }
    return [
        sys.executable,
        script,
        "--pretrained",
        "--channels-last",
        *(part for key, values in options.items() for part in (key, *values)),
    ]


def main() -> None:
    """Predict the test pictures with the checkpoint that the script calls best."""
    torch.set_num_threads(1)
    task, folder = from_argument()
    with predicting(folder):
        model = timm.create_model(BACKBONE, num_classes=len(task.classes)).eval()
        # A checkpoint that the script has just written here; it holds its arguments as a Python object.
        stored = torch.load(folder / "timm" / "model_best.pth.tar", map_location="cpu", weights_only=False)
        model.load_state_dict(stored["state_dict"])
        size = {"img_size": task.size, "mean": MEAN, "std": STD}
        transform = timm.data.create_transform(**timm.data.resolve_data_config(size, model=model))
        found = Predictions.none()
        for picture in task.side("test"):
            with Image.open(picture.path) as file, torch.inference_mode():
                answer = model(transform(file.convert("RGB"))[None])[0].double().softmax(0).tolist()
            found.labels[picture.image] = dict(zip(task.classes, answer, strict=True))
        found.write(folder)


if __name__ == "__main__":
    main()
