"""A folder of JPEG files, whole processes: ``dermtl predict`` against one picture after the other, and against timm.

In turns, each in a process of its own; wall-clock and CPU seconds, import and loading included. ``serial`` decodes and
runs the same exported file one picture at a time on one thread. ``timm`` is its own data set, transform and loader, and
a torch model in batches of 32, on one thread, without writing anything. ``whole`` is ``serial`` with JPEGs decoded
whole; ``other`` is ``dermtl predict`` with another file.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERIAL = """
import sys
from pathlib import Path
import dermtl
model = dermtl.load(sys.argv[1], threads=1)
for file in sorted(Path(sys.argv[2]).iterdir()):
    model.predict(file).to_json()
"""
WHOLE = SERIAL.replace("predict(file)", "predict(read_image(file))").replace(
    "import dermtl\n", "import dermtl\nfrom dermtl.imaging.decode import read_image\n"
)
TIMM = """
import sys, timm, torch
torch.set_num_threads(1)
model = timm.create_model(sys.argv[3], pretrained=False).eval()
config = timm.data.resolve_data_config({}, model=model)
data = timm.data.create_dataset("", sys.argv[2])
loader = timm.data.create_loader(data, batch_size=32, use_prefetcher=False, num_workers=0, device=torch.device("cpu"),
    **{key: config[key] for key in ("input_size", "interpolation", "mean", "std", "crop_pct")})
with torch.inference_mode():
    for batch, _ in loader:
        model(batch).softmax(-1).numpy()
"""


def run(command: list[str]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def main() -> None:
    """Print a table and, as the last line, every figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="exported by dermtl")
    parser.add_argument("folder", type=Path, help="of pictures, nothing else")
    parser.add_argument("--timm", metavar="NAME", help="the same backbone in torch")
    parser.add_argument("--other", type=Path, help="another file of the same network, such as one in int8")
    parser.add_argument("--whole", action="store_true", help="decode large JPEGs whole, for comparison")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args()
    python, model, folder = sys.executable, str(options.model), str(options.folder)
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(scratch, "rows.jsonl"))
        commands = {
            "serial": [python, "-c", SERIAL, model, folder],
            "dermtl predict": [python, "-m", "dermtl", "predict", model, folder, "--out", out, "--overwrite"],
        }
        if options.other:
            other = [str(options.other) if part == model else part for part in commands["dermtl predict"]]
            commands["other"] = other
        if options.whole:
            commands["whole"] = [python, "-c", WHOLE, model, folder]
        if options.timm:
            commands["timm"] = [python, "-c", TIMM, model, folder, options.timm]
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(1 if options.quick else options.rounds):
            for name, command in commands.items():
                found[name].append(run(command))
    num = sum(1 for _ in options.folder.iterdir())
    figures = {}
    print("way             wall s   CPU s   pictures/s   wall ratio   CPU ratio to dermtl predict (medians of rounds)")
    for name, times in found.items():
        wall, cpu = (statistics.median(values) for values in zip(*times, strict=True))
        pairs = list(zip(times, found["dermtl predict"], strict=True))
        ratios = [statistics.median(one[kind] / other[kind] for one, other in pairs) for kind in (0, 1)]
        figures[name] = {
            "wall_s": wall,
            "cpu_s": cpu,
            "images_s": num / wall,
            "wall_ratio": ratios[0],
            "cpu_ratio": ratios[1],
        }
        print(
            f"{name:14}  {wall:6.2f}  {cpu:6.2f}   {num / wall:10.1f}   {ratios[0]:10.2f}   {ratios[1]:9.2f}",
            flush=True,
        )
    print(json.dumps({"num": num, "model": options.model.name, "ways": figures}))


if __name__ == "__main__":
    main()
