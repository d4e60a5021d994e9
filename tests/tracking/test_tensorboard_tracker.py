"""Event files as TensorBoard itself reads them."""

import subprocess
import sys

import pytest

pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
from dermtl.tracking.tensorboard import TensorBoard


def track(run, rows, *, end=True):
    tracker = TensorBoard()
    tracker.begin(run, "demo", {})
    for row in rows:
        tracker.epoch(row)
    if end:
        tracker.end("finished")


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_every_figure_is_a_scalar_of_its_epoch(tmp_path, told):
    track(tmp_path, [told(1), told(2)])
    found = read(tmp_path)
    assert found["train/loss"] == [(1, 2.0), (2, 1.0)]
    assert found["val/diagnosis.accuracy"] == [(1, pytest.approx(0.1)), (2, pytest.approx(0.2))]
    assert {"lr", "seconds", "stage", "val/loss"} <= found.keys()
    assert not {"epoch", "val/diagnosis.auroc.nevus"} & found.keys()  # the latter was never estimable


def test_a_continued_run_is_one_line(tmp_path, told):
    """Killed after epoch 3 was told and before it was stored: epochs 2 and 3 are told again."""
    track(tmp_path, [told(1), told(2), told(3)], end=False)
    track(tmp_path, [told(2), told(3), told(4)])
    track(tmp_path, [told(4), told(5)])
    assert [step for step, _ in read(tmp_path)["val/loss"]] == [1, 2, 3, 4, 5]


def test_a_torn_last_record_costs_nothing_else(tmp_path, told):
    track(tmp_path, [told(1), told(2)])
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    track(tmp_path, [told(2), told(3)])
    assert [step for step, _ in read(tmp_path)["val/loss"]] == [1, 2, 3]


def test_files_of_others_are_left_alone(tmp_path, told):
    other = tmp_path / "tensorboard" / "events.out.tfevents.1700000000.host.v2"
    other.parent.mkdir()
    other.touch()
    track(tmp_path, [told(1)])
    assert other.read_bytes() == b""
    assert read(tmp_path)["train/loss"] == [(1, 2.0)]


def test_it_needs_neither_torch_nor_tensorflow():
    code = "import sys; from dermtl.tracking.tensorboard import TensorBoard; TensorBoard(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "tensorflow", "tensorflow.io"} & set(done.stdout.split())
