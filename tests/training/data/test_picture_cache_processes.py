"""Worker processes of every start method share one cache, on systems with less than Linux too; no file is left."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.kinds import Record
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.batch_order import BatchOrder
from dermtl.training.data.dataset import Examples
from dermtl.training.data.loader import load_batches
from dermtl.training.data.picture_cache import PictureCache, open_cache

SIZE, NUM = 32, 6
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(NUM)]


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    for index, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    return [Record(f"{index}.png", tmp_path, {}) for index in range(NUM)]


@pytest.fixture
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def without_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """What macOS has not."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.delattr(os, "posix_fallocate")


def opened(mode: str, records: Sequence[Record], folder: Path) -> PictureCache:
    cache = open_cache(mode, records, SIZE, folder)
    assert cache is not None
    return cache


@pytest.mark.slow
@pytest.mark.parametrize("linux", [True, False], ids=["linux", "other"])
@pytest.mark.parametrize("mode", ["ram", "disk"])
@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"], indirect=True)
def test_workers_of_every_start_method_share_it(
    start_method: str, mode: str, linux: bool, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not linux:
        without_linux(monkeypatch)
    cache = opened(mode, records, tmp_path / "cache")
    examples = Examples(records, {}, SIZE, augmentation=Augmentation("default"), cache=cache)
    order = BatchOrder(NUM, 2, shuffle=False)
    batches = load_batches(examples, order, workers=1)
    try:
        first = [batch.images.numpy() for batch in batches]
        for index, image in enumerate(IMAGES):
            kept = cache.get(index)
            assert kept is not None, "a worker's picture did not reach this process"
            assert (kept[0] == image).all()
            records[index].path.unlink()  # from here on pictures can come from the cache only
        again = [batch.images.numpy() for batch in batches]
    finally:
        batches.close()
    assert all((one == other).all() for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("mode", ["ram", "disk"])
def test_it_works_where_the_system_has_less_than_linux(
    mode: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_linux(monkeypatch)
    cache = opened(mode, records, tmp_path / "cache")
    cache.put(NUM - 1, IMAGES[1], (5, 6))
    found = cache.get(NUM - 1)
    assert found is not None
    assert (found[0] == IMAGES[1]).all()
    assert cache.get(0) is None


@pytest.mark.parametrize("fault", ["absent", "not supported"])
def test_a_full_disk_is_found_at_once_where_nothing_reserves(
    fault: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(95, "Operation not supported")

    if fault == "absent":
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with caplog.at_level(logging.WARNING):
        assert open_cache("disk", records, SIZE, tmp_path / "cache") is None
    assert "No space left" in caplog.text
    assert not list((tmp_path / "cache").iterdir())


KILLED = """
import multiprocessing, os, sys, time
from pathlib import Path
import numpy as np
from dermtl.training.data.picture_cache import open_cache
from dermtl.kinds import Record

def work(cache, channel):
    cache.put(0, np.ones(({size}, {size}, 3), np.uint8), (7, 8))
    channel.send("done")
    channel.recv()

if __name__ == "__main__":
    if sys.argv[2] == "other":
        del os.memfd_create
    root = Path(sys.argv[1])
    cache = open_cache("ram", [Record("0.png", root, {{}})], {size})
    context = multiprocessing.get_context(sys.argv[3])
    here, there = context.Pipe()
    worker = context.Process(target=work, args=(cache, there))
    worker.start()
    there.close()
    here.recv()
    print(cache.get(0)[1], worker.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for sockets, whose paths may have about a hundred characters; pytest's own folders are longer."""
    with tempfile.TemporaryDirectory(prefix="d") as folder:
        yield Path(folder)


@pytest.mark.parametrize("system", ["linux", "other"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_killed_process_leaves_no_file_and_no_shared_memory(
    method: str, system: str, records: list[Record], tmp_path: Path, short_path: Path
) -> None:
    script, temporary = tmp_path / "killed.py", short_path
    script.write_text(KILLED.format(size=SIZE))
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.is_dir() else set()
    command = [sys.executable, str(script), str(tmp_path), system, method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(temporary)}) as process:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        assert said.startswith("(7, 8)")
        os.kill(int(said.split()[-1]), signal.SIGKILL)
        process.kill()
    left = [path for path in temporary.rglob("*") if path.is_file()]
    assert not left
    assert not [
        path for path in (set(shared.iterdir()) if shared.is_dir() else set()) - before if "dermtl" in path.name
    ]
