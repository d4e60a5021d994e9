"""What a training step costs if freed memory is kept, against the C library's default: CPU time and page faults.

    python benchmarks/memory.py [--rounds 3] [--steps 10] [--quick]

Each way runs in processes of its own, in turn, with one thread. Prints a table, and as its last line one JSON object.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time


def run(keep: bool, backbone: str, size: int, batch: int, steps: int) -> dict[str, float]:
    """Steps of AdamW in this process; CPU seconds and page faults a step, without the first two."""
    import timm
    import torch

    from dermtl.training.memory import keep_freed_memory

    if keep:
        keep_freed_memory()
    torch.manual_seed(0)
    model = timm.create_model(backbone, num_classes=7).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters())
    images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    target = torch.arange(batch) % 7
    for step in range(steps + 2):
        if step == 2:
            begun, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), target)
        loss.backward()
        optimizer.step()
    found = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_s": (time.process_time() - begun) / steps,
        "page_faults": (found.ru_minflt - faults) / steps,
        "loss": float(loss),
        "peak_mb": found.ru_maxrss / 1024,
    }


def main() -> None:
    """Run both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--quick", action="store_true", help="one round of two steps at 32 px")
    parser.add_argument("--way", choices=["default", "kept"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.steps, options.size, options.batch = 1, 2, 32, 4
    shape = (options.backbone, options.size, options.batch, options.steps)
    if options.way:
        print(json.dumps(run(options.way == "kept", *shape)))
        return
    rows: dict[str, list[dict[str, float]]] = {"default": [], "kept": []}
    numbers = [f"--{key}={value}" for key, value in zip(("backbone", "size", "batch", "steps"), shape, strict=True)]
    for _ in range(options.rounds):
        for way, found in rows.items():
            command = [sys.executable, __file__, "--way", way, *numbers]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
    middle = {
        way: {key: statistics.median(row[key] for row in found) for key in found[0]} for way, found in rows.items()
    }
    for way, row in middle.items():
        cost = f"{row['cpu_s'] * 1e3:8.0f} ms a step {row['page_faults']:10.0f} page faults"
        print(f"{way:8} {cost} {row['peak_mb']:8.0f} MB")
    ratio = middle["default"]["cpu_s"] / middle["kept"]["cpu_s"]
    print(json.dumps({"shape": shape, "ways": middle, "faster_by": ratio}))


if __name__ == "__main__":
    main()
