"""What a process holds, and what a step takes, where two processes share the weights out and where each has them all.

    python benchmarks/sharding.py [--model vit_base_patch16_224] [--batch 2] [--steps 4] [--quick]

Two processes on this machine, gloo, one thread each, AdamW, random weights, drawn pictures. ``held``: bytes of this
process's weights, gradients and optimiser state after a step. ``peak``: the most resident memory (VmHWM) while steps
are taken, above what the process had before the network was made; activations included. Prints a table, and as its last
line one JSON object.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXPERIMENT = """\
name: sharding
data: {{root: {root}, copies: false, split: {{train: 0.9, val: 0.1, test: 0}}}}
backbone: {{name: {model}, pretrained: false, image_size: {size}}}
heads: {{diagnosis: {{type: classification}}}}
training: {{batch_size: {batch}, workers: 0, accelerator: cpu, shard: {shard}, stages: [{{epochs: 1, lr: 1e-4}}]}}
"""


def resident_mb(key: str) -> float:
    """VmRSS or VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1e3


def measure(path: Path, steps: int) -> dict[str, float]:
    """One process's figures."""
    import torch

    from dermtl.config.load import load_experiment
    from dermtl.training.data.batch_order import BatchOrder
    from dermtl.training.data.loader import load_batches
    from dermtl.training.distributed.loss_averaging import RunningMeans
    from dermtl.training.distributed.process_group import ProcessGroup
    from dermtl.training.distributed.sharding import local_shard
    from dermtl.training.loop.loss import Objective
    from dermtl.training.loop.loss_module import LossModule
    from dermtl.training.loop.step import Step
    from dermtl.training.optim.layer_groups import backbone_groups
    from dermtl.training.optim.optimiser import build_optimiser
    from dermtl.training.prepare import make_examples, make_network, prepare

    experiment, source = load_experiment(path)
    training = experiment.training
    processes, prepared = ProcessGroup(training), prepare(experiment, source)
    examples, _ = make_examples(prepared, source)
    order = BatchOrder(len(examples), training.batch_size, process=(processes.rank, processes.num))
    batches = list(load_batches(examples, order, workers=0, pin_memory=False))
    before = resident_mb("VmRSS")
    network = processes.to_device(make_network(prepared, source))
    objective = Objective(network, dict.fromkeys(prepared.plans, 1.0))
    stage = training.stages[0]
    optimizer, _ = build_optimiser(network, stage, backbone_groups(network), len(order))
    optimizer = processes.fabric.setup_optimizers(optimizer)
    module = LossModule(network, objective, tied=processes.sharded).train()
    step = Step(training, processes, module, None, examples.records)
    step.set_up(stage, optimizer)
    step(batches[0], RunningMeans(), 0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    started = time.perf_counter()
    for number in range(1, steps):
        step(batches[number % len(batches)], RunningMeans(), number)
    seconds = (time.perf_counter() - started) / (steps - 1)
    tensors = [(parameter, parameter.grad, *optimizer.state[parameter].values()) for parameter in network.parameters()]
    held = sum(local_shard(t).nbytes for own in tensors for t in own if isinstance(t, torch.Tensor))
    return {"held_mb": held / 1e6, "peak_mb": resident_mb("VmHWM") - before, "step_s": seconds}


def together(path: Path, steps: int) -> dict[str, float]:
    """The larger of both processes' figures."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    shared |= {"TORCHELASTIC_RUN_ID": "x", "GROUP_RANK": "0", "OMP_NUM_THREADS": "1"}
    shared["MALLOC_MMAP_THRESHOLD_"] = "131072"  # what is freed goes back at once, else the peak is that of holes
    command = [sys.executable, __file__, "--worker", str(path), "--steps", str(steps)]
    started = [
        subprocess.Popen(command, env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE)
        for rank in ("0", "1")
    ]
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    return {name: max(own[name] for own in found) for name in found[0]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--worker", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments.worker, arguments.steps)))
        return
    from dermtl.data.synthetic.dataset import synthesise

    model, size = ("test_vit", 64) if arguments.quick else (arguments.model, 224)
    results: dict[str, Any] = {"model": model, "batch": arguments.batch}
    with tempfile.TemporaryDirectory() as folder:
        data = synthesise(Path(folder) / "data", num=24).parent
        for name, shard in (("each has all", "false"), ("shared", "true")):
            path = Path(folder) / f"{shard}.yaml"
            path.write_text(EXPERIMENT.format(root=data, model=model, size=size, batch=arguments.batch, shard=shard))
            results[name] = together(path, arguments.steps)
            print(f"{name:14}", *(f"{key} {value:10.2f}" for key, value in results[name].items()))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
