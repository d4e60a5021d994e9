"""What a training step costs: dermtl's loop against bare PyTorch loops, and what frozen layers save.

    python benchmarks/engine.py [--rounds 5] [--num 96] [--quick]

One thread, no worker processes, CPU time of this process, rounds interleaved, medians. The bare loop is forward,
cross-entropy, backward, clipping and AdamW on tensors in memory. Prints a line a figure, and as its last line one JSON
object.
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import timm
import torch
from timm.optim import create_optimizer_v2
from torch.nn import functional as F

from dermtl.config.load import load_experiment
from dermtl.data.synthetic.dataset import synthesise
from dermtl.runs.folder import RunFolder
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.trainer import Trainer
from dermtl.training.optim.freezing import set_trainable
from dermtl.training.optim.layer_groups import trainable_groups
from dermtl.training.optim.optimiser import build_optimiser
from dermtl.training.prepare import make_examples, make_network, prepare

EXPERIMENT = """\
name: speed
data: {{root: {root}, copies: false, split: {{train: 0.9, val: 0.1, test: 0}}}}
backbone: {{name: {model}, pretrained: false, image_size: {size}}}
heads: {{diagnosis: {{type: classification, dropout: 0}}}}
training: {{batch_size: {batch}, workers: 0, accelerator: cpu, early_stopping: null, stages: [{{epochs: 1, lr: 1e-4}}]}}
"""
Task = Callable[[], int]


class Bench:
    """Data and sizes of one invocation."""

    def __init__(self, folder: Path, num: int, size: int, batch: int) -> None:
        self.folder, self.size, self.batch = folder, size, batch
        synthesise(folder / "data", num=num)
        self.count = 0

    def trainer(self, model: str, *overrides: str) -> Trainer:
        """A trainer before its first epoch."""
        path = self.folder / "speed.yaml"
        path.write_text(EXPERIMENT.format(root=self.folder / "data", model=model, size=self.size, batch=self.batch))
        experiment, source = load_experiment(path, overrides)
        prepared = prepare(experiment, source)
        train, val = make_examples(prepared, source)
        network = make_network(prepared, source)
        self.count += 1
        folder = RunFolder(self.folder / f"run{self.count}")
        return Trainer(prepared, network, (train, val), folder, ProcessGroup(experiment.training))

    def loop(self, model: str, *overrides: str, cached: bool = False, train: str = "all") -> Task:
        """Epochs of dermtl's own loop: decoded pictures from its cache, or batches kept in a list."""
        trainer = self.trainer(model, f"training.stages.0.train={train}", "training.feature_cache_mb=0", *overrides)
        stage = trainer._phases[0].stage
        optimizer, schedule = build_optimiser(trainer._network, stage, trainer._groups, 10)
        trainer._module.train()
        set_trainable(trainer._network, trainable_groups(stage, trainer._groups, 0))
        trainer._step.set_up(stage, trainer._processes.fabric.setup_optimizers(optimizer))
        batches = list(trainer._source.train())
        if cached:
            trainer._source.train = lambda: batches  # type: ignore[method-assign]

        def run() -> int:
            trainer._run_epoch(schedule, None)
            trainer.state.close_epoch(1, {})
            return len(batches)

        return run

    def bare(self, model: str, *, channels_last: bool = False, loader: str | None = None) -> Task:
        """A plain loop on tensors in memory, or fed by timm's own loader from the same files."""
        network = timm.create_model(model, pretrained=False, num_classes=3).train()
        if channels_last:
            network = network.to(memory_format=torch.channels_last)
        optimizer = create_optimizer_v2(network, opt="adamw", lr=1e-4, weight_decay=0.01)
        steps = 4 if self.size > 64 else 40
        images = torch.randn(self.batch, 3, self.size, self.size)
        labels = torch.randint(0, 3, (self.batch,))
        feed: Any = [(images, labels)] * steps if loader is None else self._timm_loader(Path(loader))

        def run() -> int:
            num = 0
            for batch, target in feed:
                shown = batch.contiguous(memory_format=torch.channels_last) if channels_last else batch
                loss = F.cross_entropy(network(shown), target)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                num += 1
            return num

        return run

    def _timm_loader(self, root: Path) -> Any:
        from timm.data import create_dataset, create_loader

        dataset = create_dataset("", root=str(root))
        return create_loader(
            dataset, (3, self.size, self.size), self.batch, is_training=True, use_prefetcher=False, num_workers=0
        )


def interleaved(tasks: dict[str, Task], rounds: int) -> dict[str, float]:
    """Median CPU milliseconds a step of each task, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            began = time.process_time()
            steps = task()
            if number:
                found[name].append(1e3 * (time.process_time() - began) / steps)
    return {name: statistics.median(values) for name, values in found.items()}


def fit(bench: Bench, epochs: int, budget: int) -> float:
    """CPU seconds of head epochs, whole runs from their first step on."""
    stages = f"training.stages=[{{train: head, epochs: {epochs}, lr: 1e-3}}]"
    trainer = bench.trainer("resnet18", stages, "training.augmentation=none", f"training.feature_cache_mb={budget}")
    began = time.process_time()
    trainer.fit()
    return time.process_time() - began


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num", type=int, default=96)
    parser.add_argument("--quick", action="store_true", help="small pictures, one round: does it run at all?")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as name:
        results: dict[str, dict[str, float]] = {}

        def tell(title: str, figures: dict[str, float]) -> None:
            results[title] = figures
            for task, value in figures.items():
                unit = "s" if title == "head epochs" else "ms a step"
                print(f"{title:24} {task:34} {value:9.3f} {unit}", flush=True)

        small = Bench(Path(name) / "small", 48, 32, 4)
        tiny = {"bare": small.bare("test_resnet"), "dermtl": small.loop("test_resnet", cached=True)}
        tell("tiny", interleaved(tiny, 4 * rounds))
        side = 64 if arguments.quick else 224
        many = Bench(Path(name) / "many", 4 * arguments.num, side, 16)
        kept = {
            f"{epochs} epochs, {what}": fit(many, epochs, budget)
            for epochs in (1, 10)
            for what, budget in (("kept", 2000), ("recomputed", 0))
        }
        tell("head epochs", kept)
        large = Bench(Path(name) / "large", arguments.num, side, 16)
        folders = sorted_by_class(large.folder / "data", large.folder / "classes")
        for model in ("resnet18", "mobilenetv3_large_100"):
            tasks = {
                "bare fp32": large.bare(model),
                "bare channels-last": large.bare(model, channels_last=True),
                "timm loader fp32": large.bare(model, loader=str(folders)),
                "timm loader channels-last": large.bare(model, loader=str(folders), channels_last=True),
                "dermtl, batches in memory": large.loop(model, cached=True),
                "dermtl, from the decoded cache": large.loop(model),
                "dermtl, last:1": large.loop(model, cached=True, train="last:1"),
            }
            if torch.cpu._is_avx512_bf16_supported():  # else it is emulated, many times slower
                tasks["dermtl, bf16"] = large.loop(model, "training.precision=bf16-mixed", cached=True)
            tell(model, interleaved(tasks, rounds))
    print(json.dumps(results))


def sorted_by_class(data: Path, out: Path) -> Path:
    """The drawn pictures in class folders, as timm's loader wants them."""
    import csv

    with (data / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            target = out / row["label"] / Path(row["image"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((data / row["image"]).read_bytes())
    return out


if __name__ == "__main__":
    main()
