"""``dermtl predict`` killed again and again: whether any row is lost or written twice, and what memory grows by.

The run is killed after a random time and resumed until it is done, as often as needed for the number of kills. Then the
rows are compared with those of a run that nobody killed. Memory is the resident set of one process over many pictures.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import dermtl
from dermtl.runtime.predict_rows import predict_rows


def killed(command: list[str], out: Path, wanted: int, chance: random.Random) -> tuple[int, int]:
    """Kill and resume; the kills, and how often a whole file came out."""
    kills = wholes = 0
    while kills < wanted:
        with subprocess.Popen([*command, "--resume"], stdout=subprocess.DEVNULL) as run:
            try:
                run.wait(chance.uniform(0.2, 1.5))
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                kills += 1
                continue
        if run.returncode:
            raise SystemExit(f"dermtl predict ended with {run.returncode}")
        yield_rows(out)
        wholes += 1
        out.unlink()
    subprocess.run([*command, "--resume"], check=True)
    return kills, wholes


def yield_rows(out: Path) -> list[str]:
    """The pictures of all rows; a line that is no row ends the program."""
    return [json.loads(line)["image"] for line in out.read_text(encoding="utf-8").splitlines()]


def slope_bytes(model: Path, file: Path, num: int) -> float:
    """Growth of the resident set for each prediction, after a tenth of them."""
    loaded = dermtl.load(model, threads=1)
    sizes = []
    for index, _ in enumerate(predict_rows(loaded, (file for _ in range(num)))):
        if index % 500 == 0 and index >= num // 10:
            text = Path("/proc/self/status").read_text(encoding="ascii")
            sizes.append((index, 1024 * int(text.split("VmRSS:")[1].split()[0])))
    return float(np.polyfit(*zip(*sizes, strict=True), 1)[0])


def main() -> None:
    """Print what was found and, as the last line, every figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--predictions", type=int, default=50_000)
    parser.add_argument("--quick", action="store_true", help="5 kills, 2,000 predictions")
    options = parser.parse_args()
    wanted, num = (5, 2000) if options.quick else (options.kills, options.predictions)
    with tempfile.TemporaryDirectory() as scratch:
        out, whole = Path(scratch, "rows.jsonl"), Path(scratch, "whole.jsonl")
        base = [sys.executable, "-m", "dermtl", "predict", str(options.model), str(options.folder), "--out"]
        start = time.monotonic()
        subprocess.run([*base, str(whole)], check=True)
        kills, wholes = killed([*base, str(out)], out, wanted, random.Random(0))
        same = out.read_bytes() == whole.read_bytes()
        rows = yield_rows(out)
        file = next(path for path in sorted(options.folder.rglob("*")) if path.is_file())
    print(f"{kills} kills, {wholes + 1} whole files, {len(rows)} rows, {len(set(rows))} pictures, same bytes: {same}")
    print(f"{time.monotonic() - start:.0f} s", flush=True)
    slope = slope_bytes(options.model, file, num)
    print(f"memory grows by {slope:.0f} bytes a prediction over {num}")
    print(json.dumps({"kills": kills, "rows": len(rows), "same": same, "slope_bytes": slope, "predictions": num}))


if __name__ == "__main__":
    main()
