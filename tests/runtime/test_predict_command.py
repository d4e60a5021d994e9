import csv
import json
import os
import signal
import subprocess
import sys
import time
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.imaging.decode import read_image, read_mask

NUM = 1500
FULL = Path("/dev/full")

BLOCKED = """
import sys
for name in ("torch", "torchvision", "timm", "albumentations", "lightning_fabric", "onnx", "onnxscript", "matplotlib",
             "pillow_heif"):
    sys.modules[name] = None
sys.argv = ["dermtl", *sys.argv[1:]]
from dermtl.cli import main
main()
"""


def predict(*arguments, cwd=None):
    """Run ``dermtl predict`` where nothing of the training side can be imported."""
    command = [sys.executable, "-c", BLOCKED, "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=cwd, timeout=120)


def images_in(path):
    return [json.loads(line)["image"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_json_lines_on_stdout_and_exit_1_for_bad_files(model_path, pictures):
    done = predict(model_path, "pictures", "--threads", 1, cwd=pictures.parent)
    assert done.returncode == 1, done.stderr
    rows = {row["image"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert list(rows) == [
        f"pictures/{name}"
        for name in ("b/grey.TIF", "b/one.png", "b/wide.jpg", "cut.jpg", "text.jpg", "turned.jpg", "wide.jpg")
    ]
    assert "2 of 7 pictures could not be predicted" in done.stderr
    assert done.stderr.count("\n") == 1
    assert set(rows["pictures/cut.jpg"]) == {"image", "error"}
    turned = rows["pictures/turned.jpg"]
    assert (turned["width"], turned["height"]) == (30, 50)
    assert turned["extent"]["circle"] == pytest.approx({"cx": 15, "cy": 25, "r": 12.5})
    assert set(turned["diagnosis"]) == {"label", "probability"}


def test_csv_overlays_and_exit_0(model_path, pictures, tmp_path):
    (pictures / "cut.jpg").unlink()
    (pictures / "text.jpg").unlink()
    done = predict(model_path, pictures, "--out", tmp_path / "rows.csv", "--overlay", tmp_path / "drawn")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert not any(row["error"] for row in rows)
    drawn = sorted(path for path in (tmp_path / "drawn").rglob("*") if path.is_file())
    assert len(drawn) == 5
    sizes = sorted((int(row["height"]), int(row["width"])) for row in rows)
    assert sorted(read_image(path).shape[:2] for path in drawn) == sizes


def test_files_that_are_no_pictures_are_named_and_exit_with_1(model_path, pictures, tmp_path):
    for path in (pictures / "cut.jpg", pictures / "text.jpg"):
        path.unlink()
    for name in ("IMG_1.MOV", "b/scan.psd"):  # beside notes.txt, which nobody misses
        (pictures / name).write_bytes(b"of another kind")
    done = predict(model_path, pictures, "--out", tmp_path / "rows.csv")
    assert done.returncode == 1
    assert "passed over 2 files that are no pictures dermtl reads: IMG_1.MOV, scan.psd" in done.stderr
    assert len((tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()) == 6
    (pictures / "text.jpg").write_text("not a picture")
    done = predict(model_path, pictures, "--out", tmp_path / "all.csv", "--skip-unreadable")
    assert done.returncode == 0
    assert "1 of 6 pictures could not be predicted" in done.stderr


def test_a_picture_that_needs_an_extra_is_a_row_that_names_it(model_path, pictures, tmp_path):
    (pictures / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    done = predict(model_path, pictures / "wide.jpg", pictures / "IMG_2.HEIC", cwd=tmp_path)
    assert done.returncode == 1
    good, bad = map(json.loads, done.stdout.splitlines())
    assert "error" not in good
    assert "pip install 'dermtl[heic]'" in bad["error"]


def test_shards_share_the_pictures_out(model_path, pictures, tmp_path):
    common = ("--overlay", tmp_path / "drawn", "--batch-size", 1)
    for index in (1, 2, 3):
        done = predict(model_path, pictures, "--out", tmp_path / f"{index}.jsonl", "--shard", f"{index}/3", *common)
        assert done.returncode in (0, 1), done.stderr
    parts = [images_in(tmp_path / f"{index}.jsonl") for index in (1, 2, 3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    whole = [image for row in zip_longest(*parts) for image in row if image]
    assert whole == sorted(whole)
    assert len(set(whole)) == 7


def test_more_shards_than_pictures(model_path, pictures, tmp_path):
    done = predict(model_path, pictures, "--out", tmp_path / "rows.csv", "--shard", "9/9", "--overlay", tmp_path / "d")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rows.csv").read_text().startswith("image,width,height,error,diagnosis.probability.reddish,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.onnx", "pictures"], "absent.onnx: no such file"),
        (["pictures", "pictures"], "is a folder"),
        (["pictures/text.jpg", "pictures"], "is not a model that ONNX Runtime can run"),
        (["MODEL", "absent"], "absent: no such file or folder"),
        (["MODEL", "pictures", "--out", "rows.xlsx"], "expected a name that ends in .jsonl, .csv, .parquet"),
        (["MODEL", "pictures", "--overlay", "pictures/drawn"], "lies inside pictures"),
        (["MODEL", "pictures", "--shard", "0/2"], "expected i/n"),
        (["MODEL", "pictures", "--shard", "3/2"], "expected i/n"),
        (["MODEL", "pictures", "--batch-size", "0"], "--batch-size"),
        (["MODEL", "pictures", "--provider", "abacus"], "available: "),
        (["MODEL"], "PATH..."),
    ],
)
def test_a_users_fault_is_one_message_exit_2_and_no_output(model_path, pictures, arguments, message):
    arguments = [str(model_path) if argument == "MODEL" else argument for argument in arguments]
    before = sorted(pictures.parent.rglob("*"))
    done = predict(*arguments, *([] if "--out" in arguments else ["--out", "rows.jsonl"]), cwd=pictures.parent)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(pictures.parent.rglob("*")) == before


def test_an_existing_output_stays_unless_told(model_path, pictures, tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_text("precious")
    arguments = (model_path, pictures / "wide.jpg", "--out", out)
    assert predict(*arguments).returncode == 2
    assert out.read_text() == "precious"
    assert predict(*arguments, "--overwrite").returncode == 0
    assert json.loads(out.read_text())["width"] == 90


@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_a_killed_run_leaves_whole_lines_and_is_gone_on_with(model_path, tmp_path, name):
    (tmp_path / "many").mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    for number in range(NUM):
        (tmp_path / "many" / f"{number:04}.png").symlink_to(tmp_path / "picture.png")
    out = tmp_path / name
    command = [sys.executable, "-m", "dermtl", "predict", str(model_path), str(tmp_path / "many"), "--out", str(out)]
    with subprocess.Popen(command) as run:
        deadline = time.monotonic() + 60
        while (not out.exists() or out.stat().st_size < 20_000) and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        run.send_signal(signal.SIGSTOP)
        second = predict(*command[4:], "--resume")
        run.send_signal(signal.SIGKILL)
    assert second.returncode == 2
    assert f"{name}: is being written by another process" in second.stderr
    first = out.read_bytes()
    # A write that crosses a page may be cut there by the kill itself: what has its line end must be whole.
    text, _, _ = out.read_text(encoding="utf-8").rpartition("\n")
    if name.endswith(".csv"):
        rows = list(csv.reader(text.splitlines()))
        assert {len(row) for row in rows} == {len(rows[0])}
        images = [row[0] for row in rows[1:]]
    else:
        images = [json.loads(line)["image"] for line in text.splitlines()]
    assert 0 < len(images) < NUM
    assert images == [str(tmp_path / "many" / f"{number:04}.png") for number in range(len(images))]
    again = predict(*command[4:])
    assert again.returncode == 2
    assert "--resume" in again.stderr
    assert out.read_bytes() == first
    done = predict(*command[4:], "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    whole = first[: first.rfind(b"\n") + 1]
    assert out.read_bytes().startswith(whole)
    names = [line.split(b".png")[0][-4:] for line in out.read_bytes().splitlines() if b".png" in line]
    assert names == [b"%04d" % number for number in range(NUM)]
    assert sorted(path.name for path in tmp_path.glob("rows*")) == [name, f"{name}.model.json"]


def test_masks_can_be_read_as_truth(model_path, pictures, tmp_path):
    done = predict(model_path, pictures, "--masks", tmp_path / "masks", "--out", tmp_path / "rows.jsonl")
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    written = {path.relative_to(tmp_path / "masks").as_posix() for path in (tmp_path / "masks").rglob("*.png")}
    names = {row["image"].split("pictures/")[1] + ".outline.png": row for row in rows if "error" not in row}
    assert written == set(names)
    for name, row in names.items():
        mask = read_mask(tmp_path / "masks" / name)
        assert mask.shape == (row["height"], row["width"])
        assert set(np.unique(mask)) <= {0, 255}
        assert (mask > 0).sum() == row["outline"]["area_px"]["red"]


def test_resume_needs_a_file_to_go_on_with(model_path, pictures, tmp_path):
    for arguments in (["--resume"], ["--resume", "--overwrite", "--out", tmp_path / "rows.csv"]):
        done = predict(model_path, pictures, *arguments)
        assert done.returncode == 2
        assert "--resume goes on with --out" in done.stderr


def test_real_photographs_with_overlays(model_path, tmp_path, shared):
    folder = shared / "data" / "isic_uda1" / "original"
    done = predict(model_path, folder, "--out", tmp_path / "rows.jsonl", "--overlay", tmp_path / "drawn")
    assert done.returncode == 0, done.stderr
    assert len(images_in(tmp_path / "rows.jsonl")) == len(list((tmp_path / "drawn").iterdir())) == 3


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_behind_stdout_is_one_line(model_path, pictures):
    command = [sys.executable, "-c", BLOCKED, "predict", str(model_path), str(pictures)]
    with FULL.open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["error: standard output: cannot be written: No space left on device"]
